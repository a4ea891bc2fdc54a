//! A dead letter: the original message, and why, when and after how many attempts it was given up.
//!
//! It lies in an ordinary topic as an ordinary message, so every broker can keep it and every tool can show it. What is
//! said about it stands in headers behind those of the original.

use bytes::Bytes;
use jiff::Timestamp;

use crate::{Destination, Group, Message, Place, Slice, message::ONLY};

/// Begins the names of the headers that say what happened.
const PREFIX: &str = "mainspring-dead-";

/// What the header [`ONLY`] is called meanwhile: whoever reads dead letters is another group than the one it names.
const WAS_ONLY: &str = "mainspring-was-only";

/// A message that was given up.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The message as it was sent, to where it was sent.
    pub message: Message,
    /// Where it lay, where the broker said that.
    pub place: Option<Place>,
    /// Who gave it up.
    pub group: Group,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When the broker took it, where it says that.
    pub stored: Option<Timestamp>,
    /// When it was first handed over, if ever.
    pub first_attempt: Option<Timestamp>,
    /// When it was given up.
    pub died: Timestamp,
}

impl DeadLetter {
    /// The message that keeps it in `topic`: body, key, envelope and headers are those of the original.
    ///
    /// Delay and expiry are not carried over: they are over, and a dead letter must neither wait nor vanish.
    pub fn to_message(&self, topic: Destination) -> Message {
        let mut message = Message { destination: topic, delay: None, expires_after: None, ..self.message.clone() };
        message.headers.rename(ONLY, WAS_ONLY);
        let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
        let place = self.place.as_ref();
        let said = [
            ("destination", self.message.destination.to_string()),
            ("partition", place.map_or_else(String::new, |place| place.slice.partition.to_string())),
            ("offset", place.map_or_else(String::new, |place| place.offset.to_string())),
            ("group", self.group.to_string()),
            ("reason", self.reason.clone()),
            ("attempts", self.attempts.to_string()),
            ("stored", time(self.stored)),
            ("first-attempt", time(self.first_attempt)),
            ("died", self.died.to_string()),
        ];
        for (name, value) in said {
            message.headers.add(format!("{PREFIX}{name}"), value);
        }
        message
    }

    /// Reads what [`to_message`](Self::to_message) wrote; of a message that was given up several times, the last.
    /// Nothing when the message is no dead letter. All that was said before is taken out of its headers.
    pub fn read(message: &Message) -> Option<Self> {
        let said = |name: &str| text(message.headers.get(&format!("{PREFIX}{name}"))?);
        let destination: Destination = said("destination")?.parse().ok()?;
        let partition = said("partition")?.parse().ok();
        let offset = said("offset")?.parse().ok();
        let place = partition.zip(offset).map(|(partition, offset)| {
            let slice = Slice { topic: destination.clone(), partition };
            Place { slice, offset }
        });
        let (group, reason) = (said("group")?.parse().ok()?, said("reason")?.to_owned());
        let attempts = said("attempts")?.parse().ok()?;
        let (stored, first_attempt) = (said("stored")?.parse().ok(), said("first-attempt")?.parse().ok());
        let died = said("died")?.parse().ok()?;
        let mut message = Message { destination, ..message.clone() };
        message.headers.retain(|name| !name.starts_with(PREFIX));
        message.headers.rename(WAS_ONLY, ONLY);
        Some(Self { message, place, group, reason, attempts, stored, first_attempt, died })
    }

    /// The message to be sent again: to where it was sent, for the group only that gave it up. What its author or an
    /// operator changes may be changed before it is sent, by [`Admin::resubmit`](crate::Admin::resubmit) for one.
    pub fn again(&self) -> Message {
        self.message.clone().only(&self.group)
    }
}

fn text(value: &Bytes) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn letter(message: Message, reason: &str, place: Option<u64>) -> DeadLetter {
        let slice = Slice { topic: message.destination.clone(), partition: 3 };
        DeadLetter {
            message,
            place: place.map(|offset| Place { slice, offset }),
            group: "billing".parse().unwrap(),
            reason: reason.to_owned(),
            attempts: 5,
            stored: place.map(|_| Timestamp::UNIX_EPOCH),
            first_attempt: None,
            died: Timestamp::from_second(1_000_000_000).unwrap(),
        }
    }

    #[test]
    fn what_expires_or_waits_does_so_no_more() {
        let message = Message::new("orders".parse().unwrap(), "").delay(std::time::Duration::from_secs(1));
        let kept = letter(message.expires_after(std::time::Duration::from_secs(9)), "", None);
        let kept = kept.to_message("dead".parse().unwrap());
        assert_eq!((kept.delay, kept.expires_after), (None, None));
    }

    #[test]
    fn what_is_sent_again_and_given_up_again_reaches_whoever_reads_dead_letters() {
        let again = letter(Message::new("orders".parse().unwrap(), "").header("a", "b"), "", None).again();
        assert_eq!(again.only_for(), Some(&b"billing"[..]));
        let twice = letter(again.clone().header("c", "d"), "", None);
        let kept = twice.to_message("dead".parse().unwrap());
        assert_eq!(kept.only_for(), None);
        assert_eq!(DeadLetter::read(&kept), Some(twice));
    }

    #[test]
    fn an_ordinary_message_is_no_dead_letter() {
        assert_eq!(DeadLetter::read(&Message::new("orders".parse().unwrap(), "")), None);
    }

    proptest! {
        #[test]
        fn it_comes_back_as_it_was(
            body in any::<Vec<u8>>(),
            headers in prop::collection::vec(("[a-z]{1,4}", any::<Vec<u8>>()), 0..4),
            key in any::<Option<Vec<u8>>>(),
            reason in ".*",
            place in any::<Option<u64>>(),
        ) {
            let mut message = Message::new("orders".parse().unwrap(), body).routed_by("a.b").priority(3);
            message.headers = headers.into_iter().collect();
            message.key = key.map(Bytes::from);
            let first = letter(message, &reason, place);
            let kept = first.to_message("dead".parse().unwrap());
            prop_assert_eq!(kept.destination.as_str(), "dead");
            prop_assert_eq!(&kept.body, &first.message.body);
            prop_assert_eq!(DeadLetter::read(&kept), Some(first));
            let second = letter(kept, "again", None);
            let read = DeadLetter::read(&second.to_message("dead-too".parse().unwrap())).unwrap();
            prop_assert_eq!((read.reason.as_str(), read.message.destination.as_str()), ("again", "dead"));
        }
    }
}
