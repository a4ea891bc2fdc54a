//! What was created, as JSON in the broker's own stream: it is small, written seldom, and read by people.

use std::time::Duration;

use jiff::Timestamp;
use mainspring_broker::{
    AfterDeadLetter, Binding, Filter, Keep, Order, Require, Sharing, Slice, Start, Subscription, Topic,
};
use mainspring_event::NameError;
use serde::{Deserialize, Serialize};

use super::Damaged;

/// Types of the events of the broker's own stream.
pub(crate) const OPENED: &str = "BrokerOpened";
pub(crate) const TOPIC_CREATED: &str = "TopicCreated";
pub(crate) const GROUP_CREATED: &str = "GroupCreated";

/// A topic as it is written.
#[derive(Serialize, Deserialize)]
pub(crate) struct TopicCreated {
    name: String,
    partitions: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log: Option<Log>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dedupe: Option<Duration>,
}

#[derive(Serialize, Deserialize)]
struct Log {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_age: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
}

/// A group as it is written, with the offset at which each of its slices begins.
#[derive(Serialize, Deserialize)]
pub(crate) struct GroupCreated {
    group: String,
    bindings: Vec<Bound>,
    start: Begins,
    sharing: Shared,
    order: Ordered,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dead_letter: Option<String>,
    hold: bool,
    floors: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
struct Bound {
    from: String,
    filter: Selects,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Selects {
    All,
    Direct(String),
    Pattern(String),
    AllHeaders(Vec<(String, Vec<u8>)>),
    AnyHeader(Vec<(String, Vec<u8>)>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Begins {
    Earliest,
    Latest,
    Offsets(Vec<(String, u32, u64)>),
    Time(Timestamp),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Shared {
    Competing,
    Slices,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ordered {
    Unordered,
    KeyBlocks,
    KeyParks,
    Sessions,
}

impl TopicCreated {
    pub(crate) fn of(topic: &Topic) -> Self {
        let log = match topic.keep {
            Keep::UntilSettled => None,
            Keep::Log { max_age, max_bytes } => Some(Log { max_age, max_bytes }),
        };
        Self { name: topic.name.to_string(), partitions: topic.partitions, log, dedupe: topic.dedupe }
    }

    pub(crate) fn topic(self) -> Result<Topic, Damaged> {
        let Self { name, partitions, log, dedupe } = self;
        let keep = match log {
            None => Keep::UntilSettled,
            Some(Log { max_age, max_bytes }) => Keep::Log { max_age, max_bytes },
        };
        Ok(Topic { name: name.parse().map_err(named)?, partitions, keep, dedupe })
    }
}

impl GroupCreated {
    pub(crate) fn of(spec: &Subscription, floors: Vec<u64>) -> Self {
        let bound = |binding: &Binding| Bound { from: binding.from.to_string(), filter: Selects::of(&binding.filter) };
        Self {
            group: spec.group.to_string(),
            bindings: spec.bindings.iter().map(bound).collect(),
            start: Begins::of(&spec.start),
            sharing: match spec.sharing {
                Sharing::Competing => Shared::Competing,
                Sharing::Slices => Shared::Slices,
            },
            order: match spec.order {
                Order::Unordered => Ordered::Unordered,
                Order::KeyBlocks => Ordered::KeyBlocks,
                Order::KeyParks => Ordered::KeyParks,
                Order::Sessions => Ordered::Sessions,
            },
            dead_letter: spec.dead_letter.as_ref().map(ToString::to_string),
            hold: spec.after_dead_letter == AfterDeadLetter::Hold,
            floors,
        }
    }

    /// The subscription, and where each of its slices begins.
    pub(crate) fn subscription(self) -> Result<(Subscription, Vec<u64>), Damaged> {
        let bindings = self
            .bindings
            .into_iter()
            .map(|bound| Ok(Binding { from: bound.from.parse().map_err(named)?, filter: bound.filter.filter()? }));
        let dead_letter = self.dead_letter.map(|topic| topic.parse().map_err(named)).transpose()?;
        let spec = Subscription {
            group: self.group.parse().map_err(named)?,
            bindings: bindings.collect::<Result<_, Damaged>>()?,
            start: self.start.start()?,
            sharing: match self.sharing {
                Shared::Competing => Sharing::Competing,
                Shared::Slices => Sharing::Slices,
            },
            order: match self.order {
                Ordered::Unordered => Order::Unordered,
                Ordered::KeyBlocks => Order::KeyBlocks,
                Ordered::KeyParks => Order::KeyParks,
                Ordered::Sessions => Order::Sessions,
            },
            dead_letter,
            after_dead_letter: if self.hold { AfterDeadLetter::Hold } else { AfterDeadLetter::Continue },
        };
        Ok((spec, self.floors))
    }
}

impl Selects {
    fn of(filter: &Filter) -> Self {
        match filter {
            Filter::All => Self::All,
            Filter::Direct(key) => Self::Direct(key.clone()),
            Filter::Pattern(pattern) => Self::Pattern(pattern.to_string()),
            Filter::Headers { require, headers } => {
                let headers = headers.iter().map(|(name, value)| (name.clone(), value.to_vec())).collect();
                match require {
                    Require::All => Self::AllHeaders(headers),
                    Require::Any => Self::AnyHeader(headers),
                }
            }
        }
    }

    fn filter(self) -> Result<Filter, Damaged> {
        let bytes = |headers: Vec<(String, Vec<u8>)>| headers.into_iter().map(|(name, value)| (name, value.into()));
        Ok(match self {
            Self::All => Filter::All,
            Self::Direct(key) => Filter::Direct(key),
            Self::Pattern(pattern) => Filter::Pattern(pattern.parse().map_err(|_| Damaged("a pattern"))?),
            Self::AllHeaders(headers) => Filter::Headers { require: Require::All, headers: bytes(headers).collect() },
            Self::AnyHeader(headers) => Filter::Headers { require: Require::Any, headers: bytes(headers).collect() },
        })
    }
}

impl Begins {
    fn of(start: &Start) -> Self {
        match start {
            Start::Earliest => Self::Earliest,
            Start::Latest => Self::Latest,
            Start::Time(time) => Self::Time(*time),
            Start::Offsets(offsets) => {
                let named = |(slice, offset): &(Slice, u64)| (slice.topic.to_string(), slice.partition, *offset);
                Self::Offsets(offsets.iter().map(named).collect())
            }
        }
    }

    fn start(self) -> Result<Start, Damaged> {
        Ok(match self {
            Self::Earliest => Start::Earliest,
            Self::Latest => Start::Latest,
            Self::Time(time) => Start::Time(time),
            Self::Offsets(offsets) => {
                let slices = offsets.into_iter().map(|(topic, partition, offset)| {
                    Ok((Slice { topic: topic.parse().map_err(named)?, partition }, offset))
                });
                Start::Offsets(slices.collect::<Result<_, Damaged>>()?)
            }
        })
    }
}

fn named(_: NameError) -> Damaged {
    Damaged("a name of a topology")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: &Subscription, expected: &str) {
        let written = serde_json::to_string(&GroupCreated::of(spec, vec![3])).unwrap();
        assert_eq!(written, expected);
        let read: GroupCreated = serde_json::from_str(expected).unwrap();
        assert_eq!(read.subscription().unwrap(), (spec.clone(), vec![3]));
    }

    /// What was written once is read for ever.
    #[test]
    fn the_format_stays_as_it_is() {
        let topic = Topic {
            keep: Keep::Log { max_age: Some(Duration::from_secs(5)), max_bytes: None },
            dedupe: Some(Duration::from_millis(1)),
            ..Topic::new("orders".parse().unwrap())
        };
        let written = serde_json::to_string(&TopicCreated::of(&topic)).unwrap();
        let golden = r#"{"name":"orders","partitions":1,"log":{"max_age":{"secs":5,"nanos":0}},"dedupe":{"secs":0,"nanos":1000000}}"#;
        assert_eq!(written, golden);
        assert_eq!(serde_json::from_str::<TopicCreated>(golden).unwrap().topic().unwrap(), topic);

        let plain = Subscription::new("g".parse().unwrap(), [Binding::all("orders".parse().unwrap())]);
        let golden = r#"{"group":"g","bindings":[{"from":"orders","filter":"all"}],"start":"latest","sharing":"competing","order":"unordered","hold":false,"floors":[3]}"#;
        check(&plain, golden);

        let headers = Filter::Headers { require: Require::Any, headers: vec![("h".to_owned(), "v".into())] };
        let other = |filter| Binding { from: "orders".parse().unwrap(), filter };
        let slice = Slice { topic: "orders".parse().unwrap(), partition: 0 };
        let all = Subscription {
            bindings: vec![other(Filter::Pattern("a.#".parse().unwrap())), other(headers)],
            ..plain.order(Order::Sessions).sharing(Sharing::Slices).start(Start::Offsets(vec![(slice, 7)]))
        };
        let all = all.dead_letter("dead".parse().unwrap()).hold_after_dead_letter();
        let golden = r#"{"group":"g","bindings":[{"from":"orders","filter":{"pattern":"a.#"}},{"from":"orders","filter":{"any_header":[["h",[118]]]}}],"start":{"offsets":[["orders",0,7]]},"sharing":"slices","order":"sessions","dead_letter":"dead","hold":true,"floors":[3]}"#;
        check(&all, golden);
    }
}
