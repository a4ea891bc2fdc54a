//! Topologies that are altered, invented, or accepted though nobody can keep to them.

use mainspring_broker::{Binding, Broker, BrokerError, Capabilities, Ensure, Feature, Subscription, Topic, Topology};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "creates what it is to verify",
        caught_by: &["topology::verifying_creates_nothing"],
        ensure: |broker, topology, _| Box::pin(async move { broker.inner.ensure(&topology, Ensure::Create).await }),
        ..SOUND
    },
    Flaw {
        name: "sees no difference",
        caught_by: &["topology::verifying_creates_nothing", "topology::a_difference_is_told_and_not_altered"],
        ensure: |broker, topology, mode| {
            Box::pin(async move { broker.inner.ensure(&topology, mode).await.map(|_| Vec::new()) })
        },
        ..SOUND
    },
    Flaw {
        name: "creates topics that are only named",
        caught_by: &["topology::a_wrong_topology_is_refused"],
        ensure: |broker, mut topology, mode| {
            Box::pin(async move {
                let named = topology.subscriptions.iter().flat_map(|group| {
                    group.bindings.iter().map(|binding| binding.from.clone()).chain(group.dead_letter.clone())
                });
                let named: Vec<_> =
                    named.filter(|name| topology.topics.iter().all(|topic| topic.name != *name)).collect();
                topology.topics.extend(named.into_iter().map(Topic::new));
                broker.inner.ensure(&topology, mode).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "creates groups for whoever asks",
        caught_by: &["topology::a_group_must_exist"],
        subscribe: |broker, spec| {
            Box::pin(async move {
                let topics = broker.memo().topology.topics.clone();
                let bindings = topics.iter().map(|topic| Binding::all(topic.name.clone()));
                let group = Subscription::new(spec.group.clone(), bindings);
                broker.inner.ensure(&Topology { topics, subscriptions: vec![group] }, Ensure::Create).await?;
                broker.inner.subscribe(spec).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes messages that ask for what it says that it cannot do",
        caught_by: &["topology::what_is_not_possible_is_refused_by_name"],
        says: |capabilities| Capabilities { refused: vec![Feature::Priority], ..capabilities },
        ..SOUND
    },
    Flaw {
        name: "takes topologies that ask for what it says that it cannot do",
        caught_by: &["topology::what_is_not_possible_is_refused_by_name"],
        says: |capabilities| Capabilities { refused: vec![Feature::Sessions], ..capabilities },
        ..SOUND
    },
    Flaw {
        name: "refuses without saying what",
        caught_by: &["topology::what_is_not_possible_is_refused_by_name"],
        can: |capabilities| Capabilities { refused: vec![Feature::Sessions], ..capabilities },
        says: |capabilities| Capabilities { refused: vec![Feature::Sessions], ..capabilities },
        ensure: |broker, topology, mode| {
            Box::pin(async move {
                let refused = |_| BrokerError::Invalid { reason: "not possible".to_owned() };
                broker.inner.ensure(&topology, mode).await.map_err(refused)
            })
        },
        ..SOUND
    },
];
