//! Topologies of the model: what is compared, created and refused.

use std::collections::HashSet;

use super::{group::GroupState, state::State, topic::TopicState};
use crate::{BrokerError, Drift, Ensure, Feature, Start, Subscription, Support, Topology};

impl State {
    pub(super) fn ensure(&mut self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        topology.validate().map_err(|reason| BrokerError::Invalid { reason })?;
        for topic in &topology.topics {
            self.accepts(topic.features(), || topic.name.to_string())?;
        }
        for subscription in &topology.subscriptions {
            self.accepts(subscription.features(), || subscription.group.to_string())?;
            let from = subscription.bindings.iter().map(|binding| &binding.from);
            for topic in from.chain(&subscription.dead_letter) {
                if !self.topics.contains_key(topic) && !topology.topics.iter().any(|new| new.name == *topic) {
                    let reason = format!("group `{}` names topic `{topic}`, which does not exist", subscription.group);
                    return Err(BrokerError::Invalid { reason });
                }
            }
        }
        if mode == Ensure::Create {
            for topic in &topology.topics {
                let new = || TopicState::new(topic.clone());
                self.topics.entry(topic.name.clone()).or_insert_with(new);
            }
            for subscription in &topology.subscriptions {
                if !self.groups.contains_key(&subscription.group) {
                    self.create(subscription);
                }
            }
        }
        Ok(self.drift(topology))
    }

    fn accepts(&self, features: Vec<Feature>, at: impl Fn() -> String) -> Result<(), BrokerError> {
        let refused = |feature: &Feature| self.capabilities.support(*feature) == Support::Refused;
        match features.into_iter().find(refused) {
            Some(feature) => Err(BrokerError::Refused { feature, at: at() }),
            None => Ok(()),
        }
    }

    fn create(&mut self, spec: &Subscription) {
        let topics = self.topics.values().filter(|topic| spec.bindings.iter().any(|from| from.from == topic.spec.name));
        let slices: Vec<_> = topics.flat_map(TopicState::slices).collect();
        let group = GroupState::new(spec.clone(), slices, self.capabilities.limits.window);
        self.groups.insert(spec.group.clone(), group);
        self.begin(&spec.group, &spec.start);
        if let Start::Offsets(offsets) = &spec.start {
            let named: HashSet<_> = offsets.iter().map(|(slice, _)| slice).collect();
            self.read_again(&spec.group, |stored| !named.contains(&stored.place.slice));
        }
    }

    fn drift(&self, topology: &Topology) -> Vec<Drift> {
        let mut drift = Vec::new();
        for wanted in &topology.topics {
            match self.topics.get(&wanted.name) {
                None => drift.push(Drift::MissingTopic(wanted.name.clone())),
                Some(topic) if topic.spec != *wanted => {
                    let what = format!("it is {:?}, and should be {wanted:?}", topic.spec);
                    drift.push(Drift::Topic { topic: wanted.name.clone(), what });
                }
                Some(_) => {}
            }
        }
        for wanted in &topology.subscriptions {
            match self.groups.get(&wanted.group) {
                None => drift.push(Drift::MissingSubscription(wanted.group.clone())),
                Some(group) if group.spec != *wanted => {
                    let what = format!("it is {:?}, and should be {wanted:?}", group.spec);
                    drift.push(Drift::Subscription { group: wanted.group.clone(), what });
                }
                Some(_) => {}
            }
        }
        drift
    }
}
