//! Topologies: what is compared, created and refused.

use mainspring_broker::{BrokerError, Drift, Ensure, Subscription, Topic, Topology};
use mainspring_event::{EventTypeName, NameError, NewEvent};
use tokio::sync::{OwnedMutexGuard, oneshot};

use crate::{
    codec::topology::{GROUP_CREATED, GroupCreated, TOPIC_CREATED, TopicCreated},
    entry::{Alone, Entry, Failure, Landed},
    group::GroupState,
    journal::own_stream,
    moving::floors,
    shared::Shared,
    state::State,
    topic::TopicState,
};

/// Compares, and creates what is missing where that is asked for.
pub(crate) async fn ensure(shared: &Shared, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
    let invalid = |reason| BrokerError::Invalid { reason };
    topology.validate().map_err(invalid)?;
    // One after the other: what is missing must not be created twice.
    let creating = shared.creating.clone().lock_owned().await;
    let (topics, groups) = shared.open(|state| state.missing(topology))??;
    if mode == Ensure::Create && !(topics.is_empty() && groups.is_empty()) {
        create(shared, topics, groups, creating).await?;
    }
    shared.open(|state| state.drift(topology))
}

/// Creates topics and groups. `creating` is over when that is written, whether somebody waits for it or not.
async fn create(
    shared: &Shared,
    topics: Vec<Topic>,
    groups: Vec<Subscription>,
    creating: OwnedMutexGuard<()>,
) -> Result<(), BrokerError> {
    let mut events = Vec::new();
    let mut beginning = Vec::new();
    for topic in &topics {
        events.push(event(TOPIC_CREATED, &TopicCreated::of(topic)));
    }
    for spec in groups {
        let slices = shared.lock().slices_of(&spec, &topics);
        let known: Vec<_> = slices.iter().filter(|slice| slice.2).map(|(topic, part, _)| (*topic, *part)).collect();
        let mut found = floors(shared, &known, &spec.start).await?.into_iter();
        // A slice that is created now begins with its first message, and so does one that offsets do not name.
        let mut begins = Vec::new();
        for (topic, partition, known) in &slices {
            let named = if *known { found.next().flatten() } else { None };
            let first = || shared.lock().first_of(*topic, *partition);
            begins.push(named.unwrap_or_else(first));
        }
        events.push(event(GROUP_CREATED, &GroupCreated::of(&spec, begins.clone())));
        beginning.push((spec, begins));
    }
    let (answer, answered) = oneshot::channel();
    let count = events.len() as u64;
    let landed = move |state: &mut State, landed: Result<Landed, Failure>| {
        let created = landed.map_err(|failure| BrokerError::Failed(failure.into())).and_then(|_| {
            state.version += count;
            topics.into_iter().try_for_each(|topic| state.create_topic(topic)).map_err(unnamed)?;
            beginning.into_iter().try_for_each(|(spec, floors)| state.create_group(spec, floors)).map_err(unnamed)
        });
        drop(creating);
        // Nobody needs to wait for it.
        let _ = answer.send(created);
    };
    shared.open(|state| state.enqueue(Entry::alone(Alone::Topology(events), Box::new(landed))))?;
    answered.await.unwrap_or(Err(BrokerError::Closed))
}

fn event(kind: &str, payload: &impl serde::Serialize) -> NewEvent {
    let payload = serde_json::to_vec(payload).expect("names and numbers are JSON");
    NewEvent::json(own_stream(), EventTypeName::new(kind).expect("a short plain word is a name"), payload)
}

fn unnamed(error: NameError) -> BrokerError {
    BrokerError::Invalid { reason: error.to_string() }
}

impl State {
    /// What does not exist yet, after it was seen that it can.
    fn missing(&self, topology: &Topology) -> Result<(Vec<Topic>, Vec<Subscription>), BrokerError> {
        let topics = topology.topics.iter().filter(|topic| !self.topic_of.contains_key(&topic.name));
        let topics: Vec<_> = topics.cloned().collect();
        for topic in &topics {
            // The names of its streams are a little longer than its own.
            TopicState::new(topic.clone()).map_err(unnamed)?;
        }
        for subscription in &topology.subscriptions {
            let from = subscription.bindings.iter().map(|binding| &binding.from);
            for topic in from.chain(&subscription.dead_letter) {
                if !self.topic_of.contains_key(topic) && !topics.iter().any(|new| new.name == *topic) {
                    let reason = format!("group `{}` names topic `{topic}`, which does not exist", subscription.group);
                    return Err(BrokerError::Invalid { reason });
                }
            }
        }
        let groups = topology.subscriptions.iter().filter(|group| !self.group_of.contains_key(&group.group));
        Ok((topics, groups.cloned().collect()))
    }

    /// The slices of a group, each as a topic, a partition, and whether it exists; `new` topics are created before it.
    fn slices_of(&self, spec: &Subscription, new: &[Topic]) -> Vec<(usize, usize, bool)> {
        let known = self.topics.iter().map(|topic| (&topic.spec, true));
        let all = known.chain(new.iter().map(|topic| (topic, false))).enumerate();
        let bound = all.filter(|(_, (topic, _))| spec.bindings.iter().any(|binding| binding.from == topic.name));
        let slices = bound.flat_map(|(at, (topic, known))| (0..topic.partitions as usize).map(move |p| (at, p, known)));
        slices.collect()
    }

    fn first_of(&self, topic: usize, partition: usize) -> u64 {
        self.topics.get(topic).map_or(0, |topic| {
            let partition = &topic.partitions[partition];
            if topic.is_log() { partition.first } else { partition.stored }
        })
    }

    pub(crate) fn create_topic(&mut self, spec: Topic) -> Result<(), NameError> {
        self.topic_of.insert(spec.name.clone(), self.topics.len());
        self.topics.push(TopicState::new(spec)?);
        Ok(())
    }

    pub(crate) fn create_group(&mut self, spec: Subscription, floors: Vec<u64>) -> Result<(), NameError> {
        let at = self.groups.len();
        let slices: Vec<_> = self.slices_of(&spec, &[]).into_iter().map(|(topic, part, _)| (topic, part)).collect();
        for (topic, _) in &slices {
            let groups = &mut self.topics[*topic].groups;
            if groups.last() != Some(&at) {
                groups.push(at);
            }
        }
        self.group_of.insert(spec.group.clone(), at);
        self.groups.push(GroupState::new(spec, slices, floors, self.capabilities.limits.window)?);
        Ok(())
    }

    fn drift(&self, topology: &Topology) -> Vec<Drift> {
        let mut drift = Vec::new();
        for wanted in &topology.topics {
            match self.topic_of.get(&wanted.name).map(|topic| &self.topics[*topic].spec) {
                None => drift.push(Drift::MissingTopic(wanted.name.clone())),
                Some(spec) if spec != wanted => {
                    let what = format!("it is {spec:?}, and should be {wanted:?}");
                    drift.push(Drift::Topic { topic: wanted.name.clone(), what });
                }
                Some(_) => {}
            }
        }
        for wanted in &topology.subscriptions {
            match self.group_of.get(&wanted.group).map(|group| &self.groups[*group].spec) {
                None => drift.push(Drift::MissingSubscription(wanted.group.clone())),
                Some(spec) if spec != wanted => {
                    let what = format!("it is {spec:?}, and should be {wanted:?}");
                    drift.push(Drift::Subscription { group: wanted.group.clone(), what });
                }
                Some(_) => {}
            }
        }
        drift
    }
}
