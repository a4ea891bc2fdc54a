//! What has to exist before messages flow: topics, the subscriptions to them, and how each treats its messages.

use std::{collections::BTreeSet, fmt, time::Duration};

use jiff::Timestamp;

use crate::{Binding, Destination, Feature, Filter, Group, Message, pattern::MAX_ROUTING_KEY};

/// Topics and subscriptions that belong together.
///
/// ```
/// use mainspring_broker::{Binding, Subscription, Topic, Topology};
/// let topology = Topology::new()
///     .topic(Topic::new("orders".parse()?))
///     .subscription(Subscription::new("billing".parse()?, [Binding::all("orders".parse()?)]));
/// assert_eq!(topology.validate(), Ok(()));
/// # Ok::<(), mainspring_event::NameError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// Where messages are sent.
    pub topics: Vec<Topic>,
    /// Who gets them.
    pub subscriptions: Vec<Subscription>,
}

/// A place to send to.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    /// What it is called.
    pub name: Destination,
    /// In how many parts it is kept; messages of one key lie in one part. At least 1.
    pub partitions: u32,
    /// What is kept of it.
    pub keep: Keep,
    /// Within which time a second message with the same envelope id is confirmed without being stored again.
    pub dedupe: Option<Duration>,
}

/// What is kept of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Each message until every subscription that existed has settled it. A message that no subscription wants has no
    /// route.
    UntilSettled,
    /// A log that can be read again. Both limits count for those who have not come so far, too.
    Log {
        /// Messages that were taken no longer ago than this.
        max_age: Option<Duration>,
        /// The newest so many bytes of each partition; at least the newest message.
        max_bytes: Option<u64>,
    },
}

/// A durable subscription: a group whose members share what its bindings select.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// What it is called.
    pub group: Group,
    /// What it gets. At least one.
    pub bindings: Vec<Binding>,
    /// Where it begins when it is created; a log only has something before the latest.
    pub start: Start,
    /// How members share.
    pub sharing: Sharing,
    /// What stays in order.
    pub order: Order,
    /// Where messages go that cannot be handled, and those that expire.
    pub dead_letter: Option<Destination>,
    /// What a dead letter means for the later messages of its key.
    pub after_dead_letter: AfterDeadLetter,
}

/// Where to begin, or to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest message that is kept.
    Earliest,
    /// With what is sent from now on.
    Latest,
    /// At this offset of each of these slices. Others begin at the earliest; by a seek, they stay where they are.
    Offsets(Vec<(Slice, u64)>),
    /// At the first message that was taken then or later.
    Time(Timestamp),
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slice {
    /// The topic.
    pub topic: Destination,
    /// Counted from 0.
    pub partition: u32,
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// How the members of a group share its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Each message goes to whoever asks first.
    #[default]
    Competing,
    /// Each slice is assigned to one member; with more members than slices, some are idle.
    Slices,
}

/// What stays in order. Messages without key are never held up by others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Nothing.
    #[default]
    Unordered,
    /// One message of a key at a time. One that waits for another attempt keeps its key waiting in place; when too many
    /// messages lie behind waiting keys, the slice pauses.
    KeyBlocks,
    /// One message of a key at a time. One that waits for another attempt is parked durably, with all later ones of its
    /// key in order behind it, and other keys flow, whatever their number.
    KeyParks,
    /// As `KeyBlocks`, and all messages of a key go to one member, until it leaves or has had none for one lease.
    Sessions,
}

/// What a dead letter means for the later messages of its key, where keys stay in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterDeadLetter {
    /// They go on.
    #[default]
    Continue,
    /// They wait until somebody resumes the key.
    Hold,
}

/// What to do about a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensure {
    /// Only compare: for accounts that may not create anything.
    Verify,
    /// Create what is missing. What is there is neither altered nor deleted.
    Create,
}

/// A difference between a topology and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drift {
    /// A topic does not exist.
    MissingTopic(Destination),
    /// A subscription does not exist.
    MissingSubscription(Group),
    /// A topic is otherwise than it should be.
    Topic {
        /// Which topic.
        topic: Destination,
        /// What differs, and how.
        what: String,
    },
    /// A subscription is otherwise than it should be.
    Subscription {
        /// Which group.
        group: Group,
        /// What differs, and how.
        what: String,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTopic(topic) => write!(f, "topic `{topic}` does not exist"),
            Self::MissingSubscription(group) => write!(f, "group `{group}` does not exist"),
            Self::Topic { topic, what } => write!(f, "topic `{topic}`: {what}"),
            Self::Subscription { group, what } => write!(f, "group `{group}`: {what}"),
        }
    }
}

impl Topology {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a topic.
    pub fn topic(mut self, topic: Topic) -> Self {
        self.topics.push(topic);
        self
    }

    /// Adds a subscription.
    pub fn subscription(mut self, subscription: Subscription) -> Self {
        self.subscriptions.push(subscription);
        self
    }

    /// Refuses what contradicts itself; brokers call it first. Whether the topics of bindings exist, only they can say.
    ///
    /// # Errors
    /// What is wrong, and with what.
    pub fn validate(&self) -> Result<(), String> {
        let mut topics = BTreeSet::new();
        for topic in &self.topics {
            if !topics.insert(&topic.name) {
                return Err(format!("topic `{}` occurs twice", topic.name));
            }
            if topic.partitions == 0 {
                return Err(format!("topic `{}` has no partition; give it at least one", topic.name));
            }
        }
        let mut groups = BTreeSet::new();
        for subscription in &self.subscriptions {
            if !groups.insert(&subscription.group) {
                return Err(format!("group `{}` occurs twice", subscription.group));
            }
            subscription.validate()?;
        }
        Ok(())
    }
}

impl Topic {
    /// A topic with one partition whose messages are kept until they are settled.
    pub fn new(name: Destination) -> Self {
        Self { name, partitions: 1, keep: Keep::UntilSettled, dedupe: None }
    }

    /// A topic that is a log without limits.
    pub fn log(name: Destination, partitions: u32) -> Self {
        Self { partitions, keep: Keep::Log { max_age: None, max_bytes: None }, ..Self::new(name) }
    }

    /// What a broker must be able to do for it.
    pub fn features(&self) -> Vec<Feature> {
        let log = matches!(self.keep, Keep::Log { .. }).then_some(Feature::Replay);
        log.into_iter().chain(self.dedupe.map(|_| Feature::Dedupe)).collect()
    }
}

impl Subscription {
    /// A group of competing members without order that gets what `bindings` select, from now on.
    pub fn new(group: Group, bindings: impl IntoIterator<Item = Binding>) -> Self {
        Self {
            group,
            bindings: bindings.into_iter().collect(),
            start: Start::Latest,
            sharing: Sharing::Competing,
            order: Order::Unordered,
            dead_letter: None,
            after_dead_letter: AfterDeadLetter::Continue,
        }
    }

    /// Sets where it begins.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Sets how members share.
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// Sets what stays in order.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets where messages go that cannot be handled.
    pub fn dead_letter(mut self, destination: Destination) -> Self {
        self.dead_letter = Some(destination);
        self
    }

    /// Lets a dead letter hold its key.
    pub fn hold_after_dead_letter(mut self) -> Self {
        self.after_dead_letter = AfterDeadLetter::Hold;
        self
    }

    /// Whether it gets `message`: one of its bindings selects it, and it is not for another group [only](Message::only).
    /// Every broker routes by this.
    pub fn selects(&self, message: &Message) -> bool {
        let is_for_it = message.only_for().is_none_or(|only| only == self.group.as_str().as_bytes());
        is_for_it && self.bindings.iter().any(|binding| binding.selects(message))
    }

    /// What a broker must be able to do for it.
    pub fn features(&self) -> Vec<Feature> {
        let sharing = match self.sharing {
            Sharing::Competing => Feature::Competing,
            Sharing::Slices => Feature::Slices,
        };
        let order = match self.order {
            Order::Unordered => None,
            Order::KeyBlocks => Some(Feature::KeyBlocks),
            Order::KeyParks => Some(Feature::KeyParks),
            Order::Sessions => Some(Feature::Sessions),
        };
        let filters = self.bindings.iter().filter_map(|binding| match binding.filter {
            Filter::All => None,
            Filter::Direct(_) => Some(Feature::DirectRouting),
            Filter::Pattern(_) => Some(Feature::PatternRouting),
            Filter::Headers { .. } => Some(Feature::HeaderRouting),
        });
        let hold = (self.after_dead_letter == AfterDeadLetter::Hold).then_some(Feature::HoldKeys);
        [sharing].into_iter().chain(order).chain(filters).chain(hold).collect()
    }

    fn validate(&self) -> Result<(), String> {
        let group = &self.group;
        if self.bindings.is_empty() {
            return Err(format!("group `{group}` has no binding, so it gets nothing"));
        }
        let too_long = |binding: &&Binding| match &binding.filter {
            Filter::Direct(key) => key.len() > MAX_ROUTING_KEY,
            _ => false,
        };
        if let Some(binding) = self.bindings.iter().find(too_long) {
            return Err(format!("group `{group}` is bound to `{}` by more than 255 bytes", binding.from));
        }
        if self.after_dead_letter == AfterDeadLetter::Hold {
            if self.order == Order::Unordered {
                return Err(format!("group `{group}` is to hold keys but keeps none in order"));
            }
            if self.dead_letter.is_none() {
                return Err(format!("group `{group}` is to hold keys after dead letters but has nowhere to put those"));
            }
        }
        match &self.dead_letter {
            Some(dead) if self.bindings.iter().any(|binding| binding.from == *dead) => {
                Err(format!("group `{group}` would get its own dead letters from `{dead}`"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::new(name.parse().unwrap())
    }

    fn group(name: &str, from: &str) -> Subscription {
        Subscription::new(name.parse().unwrap(), [Binding::all(from.parse().unwrap())])
    }

    #[track_caller]
    fn check(topology: &Topology, expected: &str) {
        assert_eq!(topology.validate(), Err(expected.to_owned()));
    }

    #[test]
    fn a_topology_that_contradicts_itself_is_refused() {
        check(&Topology::new().topic(topic("a")).topic(topic("a")), "topic `a` occurs twice");
        let empty = Topic { partitions: 0, ..topic("a") };
        check(&Topology::new().topic(empty), "topic `a` has no partition; give it at least one");
        let twice = Topology::new().subscription(group("g", "a")).subscription(group("g", "b"));
        check(&twice, "group `g` occurs twice");
        let unbound = Subscription::new("g".parse().unwrap(), []);
        check(&Topology::new().subscription(unbound), "group `g` has no binding, so it gets nothing");
        let circle = group("g", "a").dead_letter("a".parse().unwrap());
        check(&Topology::new().subscription(circle), "group `g` would get its own dead letters from `a`");
        let holds = group("g", "a").hold_after_dead_letter();
        check(&Topology::new().subscription(holds.clone()), "group `g` is to hold keys but keeps none in order");
        let nowhere = holds.order(Order::KeyBlocks);
        let expected = "group `g` is to hold keys after dead letters but has nowhere to put those";
        check(&Topology::new().subscription(nowhere), expected);
    }

    #[test]
    fn a_message_may_be_for_one_group_only() {
        let (one, other) = (group("one", "a"), group("other", "a"));
        let message = Message::new("a".parse().unwrap(), "");
        assert!(one.selects(&message) && other.selects(&message));
        let message = message.only(&other.group).only(&one.group);
        assert!(one.selects(&message) && !other.selects(&message));
        assert_eq!(message.headers.len(), 1);
        assert!(!group("one", "b").selects(&message), "a group gets nothing that no binding of its own selects");
    }

    #[test]
    fn what_is_asked_of_a_broker_is_known_before() {
        let plain = group("g", "a");
        assert_eq!(plain.features(), [Feature::Competing]);
        let sessions = plain.sharing(Sharing::Slices).order(Order::Sessions).dead_letter("d".parse().unwrap());
        let expected = [Feature::Slices, Feature::Sessions, Feature::HoldKeys];
        assert_eq!(sessions.hold_after_dead_letter().features(), expected);
        assert_eq!(Topic::log("a".parse().unwrap(), 3).features(), [Feature::Replay]);
    }
}
