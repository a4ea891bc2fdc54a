//! What is there is compared, created and never altered; what cannot be done is refused by name.

use mainspring_broker::{
    Binding, BrokerError, Drift, Ensure, Feature, Order, SendError, Sharing, Subscription, SubscriptionSpec, Support,
    Topic, Topology,
};

use crate::broker::{
    Backend, Need, report,
    sample::{ORDERS, billing, event, filtered, group, order, to, with_groups, with_log},
    subject::{Subject, kind},
};

/// Verifying says what is missing, and creates nothing.
pub(crate) async fn verifying_creates_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let topology = with_groups([billing()]);
    for _ in 0..2 {
        let drift = subject.ensures(&topology, Ensure::Verify).await.expect("a topology can be verified");
        assert_eq!(drift, [Drift::MissingTopic(to(ORDERS)), Drift::MissingSubscription(group("billing"))]);
    }
    let error = subject.capabilities(&to(ORDERS)).await.expect_err("there is no such topic");
    assert_eq!(kind(&error), "NoTopic");
    subject.create(&topology).await;
    let drift = subject.ensures(&topology, Ensure::Verify).await.expect("a topology can be verified");
    assert_eq!(drift, []);
}

/// Creating again changes nothing: what was there is kept.
pub(crate) async fn creating_again_keeps_what_is_there(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a")]).await;
    subject.create(&with_groups([billing()])).await;
    assert_eq!(subject.member().await.handle(1).await, ["a"]);
}

/// What is otherwise is told, and neither altered nor deleted.
pub(crate) async fn a_difference_is_told_and_not_altered(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a")]).await;
    let other = Topology::new()
        .topic(Topic { partitions: 7, ..Topic::new(to(ORDERS)) })
        .subscription(billing().dead_letter(to("dead")))
        .topic(Topic::new(to("dead")));
    for mode in [Ensure::Create, Ensure::Verify] {
        let drift = subject.ensures(&other, mode).await.expect("what differs is no error");
        let named = matches!(&drift[..], [Drift::Topic { topic, .. }, Drift::Subscription { group: it, .. }]
            if *topic == to(ORDERS) && *it == group("billing"));
        assert!(named, "{drift:?}");
    }
    let drift = subject.ensures(&with_groups([billing()]), Ensure::Verify).await.expect("a topology can be verified");
    assert_eq!(drift, [], "what was there is as it was");
    assert_eq!(subject.member().await.handle(1).await, ["a"]);
}

/// A topology that contradicts itself, or names what does not exist, is refused as a whole.
pub(crate) async fn a_wrong_topology_is_refused(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let bound = |from: &str| Subscription::new(group("billing"), [Binding::all(to(from))]);
    for wrong in [
        with_groups([bound("missing")]),
        with_groups([bound(ORDERS).dead_letter(to("missing"))]),
        with_groups([bound(ORDERS), bound(ORDERS)]),
        with_groups([bound(ORDERS).dead_letter(to(ORDERS))]),
    ] {
        let error = subject.ensures(&wrong, Ensure::Create).await.expect_err("this topology is wrong");
        assert_eq!(kind(&error), "Invalid", "{error:?}");
        assert!(subject.capabilities(&to(ORDERS)).await.is_err(), "nothing was created");
    }
}

/// Nobody takes part in a group that does not exist.
pub(crate) async fn a_group_must_exist(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    match subject.subscribe(SubscriptionSpec::new(group("nobody"))).await {
        Err(BrokerError::NoGroup(name)) => assert_eq!(name, group("nobody")),
        Err(error) => panic!("a group that does not exist is answered with {error:?}"),
        Ok(_) => panic!("there is no such group"),
    }
}

/// A topology that needs this feature, where a topology decides on it.
fn needing(feature: Feature) -> Option<Topology> {
    let sharing = |sharing| Some(with_groups([billing().sharing(sharing)]));
    let order = |order| Some(with_groups([billing().order(order)]));
    let filter = |filter| Some(with_groups([filtered("billing", [filter])]));
    match feature {
        Feature::Competing => sharing(Sharing::Competing),
        Feature::Slices => sharing(Sharing::Slices),
        Feature::KeyBlocks => order(Order::KeyBlocks),
        Feature::KeyParks => order(Order::KeyParks),
        Feature::Sessions => order(Order::Sessions),
        Feature::DirectRouting => filter(mainspring_broker::Filter::Direct("a".to_owned())),
        Feature::PatternRouting => filter(mainspring_broker::Filter::Pattern("a.*".parse().ok()?)),
        Feature::Replay => Some(with_log(1, [billing()])),
        _ => None,
    }
}

/// What a backend opts out of it says in its capabilities, too, and refuses by name: in a topology when it is ensured,
/// in a message when it is sent.
pub(crate) async fn what_is_not_possible_is_refused_by_name(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.create(&with_groups([billing()])).await;
    let can = subject.can().await;
    report::capabilities(backend.name(), &can);
    for opt_out in backend.opt_outs() {
        let Need::With(feature) = opt_out.lacks else { continue };
        assert_eq!(can.support(feature), Support::Refused, "{feature:?} is opted out of");
    }
    for feature in can.refused.clone() {
        if let Some(topology) = needing(feature) {
            let answer = match feature {
                Feature::Competing | Feature::Slices => subject.ensure(&topology, Ensure::Verify).await,
                _ => subject.ensures(&topology, Ensure::Verify).await,
            };
            let named = matches!(&answer, Err(BrokerError::Refused { feature: it, .. }) if *it == feature);
            assert!(named, "a topology that needs {feature:?} is answered with {answer:?}");
        }
        let message = match feature {
            Feature::Delay => event("{}").delay(subject.units(1)),
            Feature::Priority => event("{}").priority(1),
            Feature::Expiry => event("{}").expires_after(subject.units(1)),
            _ => continue,
        };
        let error = subject.refused(message).await;
        assert!(matches!(error, SendError::Rejected { .. }), "a message that needs {feature:?}: {error:?}");
    }
}
