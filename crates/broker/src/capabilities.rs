//! What a broker can do at one destination, how durable that is, and how large things may be there.

use std::{fmt, time::Duration};

use crate::{Message, SendError, pattern::MAX_ROUTING_KEY};

/// Something that not every broker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Members that compete for each message.
    Competing,
    /// Slices that are assigned to members.
    Slices,
    /// Keys in order that wait in place.
    KeyBlocks,
    /// Keys in order that are parked.
    KeyParks,
    /// Keys that are held by one member.
    Sessions,
    /// Keys that are held up by a dead letter.
    HoldKeys,
    /// Bindings by the exact routing key.
    DirectRouting,
    /// Bindings by patterns.
    PatternRouting,
    /// Bindings by headers.
    HeaderRouting,
    /// Messages that are delivered later.
    Delay,
    /// Messages that go before others.
    Priority,
    /// Messages that are dropped, or become dead letters, when they were not handled in time.
    Expiry,
    /// Messages that are taken once within a time, by the ids of their envelopes.
    Dedupe,
    /// Reading again what was settled.
    Replay,
    /// Settlements and messages that become true together.
    Commit,
    /// Another attempt after a time.
    RetryAfter,
}

impl Feature {
    /// Every feature, in the order of a table.
    pub const ALL: [Self; 16] = [
        Self::Competing,
        Self::Slices,
        Self::KeyBlocks,
        Self::KeyParks,
        Self::Sessions,
        Self::HoldKeys,
        Self::DirectRouting,
        Self::PatternRouting,
        Self::HeaderRouting,
        Self::Delay,
        Self::RetryAfter,
        Self::Priority,
        Self::Expiry,
        Self::Dedupe,
        Self::Replay,
        Self::Commit,
    ];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Competing => "competing members",
            Self::Slices => "slices assigned to members",
            Self::KeyBlocks => "keys in order that wait in place",
            Self::KeyParks => "keys in order that are parked",
            Self::Sessions => "sessions",
            Self::HoldKeys => "keys held after dead letters",
            Self::DirectRouting => "bindings by the exact routing key",
            Self::PatternRouting => "bindings by patterns",
            Self::HeaderRouting => "bindings by headers",
            Self::Delay => "delayed messages",
            Self::Priority => "priorities",
            Self::Expiry => "messages that expire",
            Self::Dedupe => "windows for duplicates",
            Self::Replay => "reads of what was settled",
            Self::Commit => "atomic commits",
            Self::RetryAfter => "retries after a time",
        })
    }
}

/// How a broker does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// By itself.
    Native,
    /// The adapter does it, durably.
    Emulated,
    /// Not at all: whoever asks is refused, by name.
    Refused,
}

/// What a confirmation is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// It survives the end of a connection, not of the broker.
    Memory,
    /// It is in the memory of several machines.
    Replicated,
    /// It is on a disk that was told to keep it.
    Synced,
}

/// What a broker can do at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// What the adapter does; the rest is native, or refused.
    pub emulated: Vec<Feature>,
    /// What is not possible.
    pub refused: Vec<Feature>,
    /// What a confirmation is worth.
    pub durability: Durability,
    /// Whether no later message of a key is stored before an earlier one that failed and is sent again.
    pub gapless: bool,
    /// How large things may be.
    pub limits: Limits,
}

impl Capabilities {
    /// How `feature` is done.
    pub fn support(&self, feature: Feature) -> Support {
        if self.refused.contains(&feature) {
            Support::Refused
        } else if self.emulated.contains(&feature) {
            Support::Emulated
        } else {
            Support::Native
        }
    }

    /// The first of what a message asks for that is refused.
    pub fn refuses(&self, message: &Message) -> Option<Feature> {
        let delay = message.delay.map(|_| Feature::Delay);
        let priority = (message.priority > 0).then_some(Feature::Priority);
        let expiry = message.expires_after.map(|_| Feature::Expiry);
        [delay, priority, expiry].into_iter().flatten().find(|asked| self.support(*asked) == Support::Refused)
    }
}

/// How large things may be. What exceeds is refused before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Body, key and headers of one message together, in bytes.
    pub message_bytes: usize,
    /// Names and values of the headers of one message, in bytes.
    pub header_bytes: usize,
    /// Messages of one batch.
    pub batch_messages: usize,
    /// Bodies, keys and headers of one batch together, in bytes.
    pub batch_bytes: usize,
    /// The longest delay of a message or a retry.
    pub delay: Duration,
    /// The longest lease.
    pub lease: Duration,
    /// The highest priority.
    pub priority: u8,
    /// How many unsettled messages of a slice may lie behind the first before the slice pauses, where keys wait in place.
    pub window: usize,
}

impl Default for Limits {
    /// 1 MiB a message, 10,000 messages or 16 MiB a batch, a year of delay, 12 hours of lease, 10 priorities.
    fn default() -> Self {
        Self {
            message_bytes: 1 << 20,
            header_bytes: 64 << 10,
            batch_messages: 10_000,
            batch_bytes: 16 << 20,
            delay: Duration::from_secs(366 * 24 * 3_600),
            lease: Duration::from_secs(12 * 3_600),
            priority: 9,
            window: 1_000,
        }
    }
}

impl Limits {
    /// Refuses a batch that is too large; brokers call it before they send anything.
    ///
    /// # Errors
    /// [`SendError::TooLarge`], with the limit.
    pub fn check(&self, batch: &[Message]) -> Result<(), SendError> {
        within("the number of messages of the batch", batch.len(), self.batch_messages)?;
        for message in batch {
            within("a message, in bytes,", message.size(), self.message_bytes)?;
            within("the headers of a message, in bytes,", message.headers.size(), self.header_bytes)?;
            within("a routing key, in bytes,", message.routing_key.len(), MAX_ROUTING_KEY)?;
            within("a priority", message.priority.into(), self.priority.into())?;
            let delay = message.delay.unwrap_or_default();
            within("a delay, in seconds,", seconds(delay), seconds(self.delay))?;
        }
        within("the batch, in bytes,", batch.iter().map(Message::size).sum(), self.batch_bytes)
    }
}

fn within(what: &'static str, actual: usize, limit: usize) -> Result<(), SendError> {
    if actual > limit { Err(SendError::TooLarge { what, actual, limit }) } else { Ok(()) }
}

/// Rounded up, so that what exceeds a limit by less than a second exceeds it.
fn seconds(time: Duration) -> usize {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    usize::try_from(seconds).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: impl Into<bytes::Bytes>) -> Message {
        Message::new("orders".parse().unwrap(), body)
    }

    #[track_caller]
    fn check(batch: &[Message], expected: &str) {
        let limits = Limits {
            message_bytes: 8,
            header_bytes: 4,
            batch_messages: 2,
            batch_bytes: 12,
            delay: Duration::from_secs(60),
            ..Limits::default()
        };
        let answer = limits.check(batch).map_err(|error| error.to_string());
        assert_eq!(answer, if expected.is_empty() { Ok(()) } else { Err(expected.to_owned()) });
    }

    #[test]
    fn a_limit_is_named_with_its_numbers() {
        check(&[message("12345678"), message("1234")], "");
        check(&[message("12345678"), message("12345")], "the batch, in bytes, is 13, the limit is 12");
        check(&[message("123456789")], "a message, in bytes, is 9, the limit is 8");
        check(&[message("12345678").key("k")], "a message, in bytes, is 9, the limit is 8");
        check(&[message("").header("n", "1234")], "the headers of a message, in bytes, is 5, the limit is 4");
        check(&[message(""), message(""), message("")], "the number of messages of the batch is 3, the limit is 2");
        check(&[message("").priority(10)], "a priority is 10, the limit is 9");
        let late = message("").delay(Duration::from_millis(60_001));
        check(&[late], "a delay, in seconds, is 61, the limit is 60");
    }

    #[test]
    fn what_a_message_asks_for_is_refused_by_name() {
        let capabilities = Capabilities {
            emulated: vec![Feature::Delay],
            refused: vec![Feature::Priority],
            durability: Durability::Memory,
            gapless: true,
            limits: Limits::default(),
        };
        assert_eq!(capabilities.refuses(&message("").delay(Duration::from_secs(1))), None);
        assert_eq!(capabilities.refuses(&message("").priority(1)), Some(Feature::Priority));
        let supports = [Feature::Delay, Feature::Priority, Feature::Expiry].map(|asked| capabilities.support(asked));
        assert_eq!(supports, [Support::Emulated, Support::Refused, Support::Native]);
    }
}
