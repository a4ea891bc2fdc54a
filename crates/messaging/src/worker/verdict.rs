//! What is to become of a delivery after its handler has answered: the schedule, the cap on attempts, the policies.

use std::time::Duration;

use mainspring_broker::{Delivery, Outcome};
use mainspring_event::EventType;
use mainspring_retry::{Advice, Failure, Retry};

use crate::Unknown;

/// Reasons of dead letters are cut to so many bytes: they travel in headers, which are limited.
const REASON: usize = 1_000;

/// What decides about deliveries.
pub(crate) struct Policy {
    pub(crate) retry: Retry,
    pub(crate) unknown: Unknown,
    /// The event types of each argument that cares.
    pub(crate) accepts: Vec<&'static [EventType]>,
    /// The longest delay that the broker keeps; zero where it keeps none.
    pub(crate) longest: Duration,
}

impl Policy {
    /// What to do about a delivery without calling its handler, if that is clear already.
    pub(crate) fn before(&self, delivery: &Delivery) -> Option<Outcome> {
        // A message whose handler kills the process is given up here: nobody was left to say that the attempt failed.
        if let Some(most) = self.retry.attempts().filter(|most| delivery.attempt > *most) {
            let reason = format!("given up after {most} attempts, the last of which ended without an answer");
            return Some(Outcome::DeadLetter { reason });
        }
        let envelope = delivery.message.envelope.as_ref()?;
        let (name, version) = (envelope.event_type.as_str(), envelope.schema_version);
        let (mut is_other, mut is_newer) = (false, false);
        for types in &self.accepts {
            match types.iter().find(|known| known.name == name) {
                Some(known) => is_newer |= version > known.version,
                None => is_other = true,
            }
        }
        if !is_other && !is_newer {
            return None;
        }
        match self.unknown {
            Unknown::Ignore if is_other => Some(Outcome::Ack),
            Unknown::Retry => Some(self.after(delivery.attempt, &unknown(name, version, is_other))),
            Unknown::Ignore | Unknown::DeadLetter => Some(buried(&unknown(name, version, is_other))),
        }
    }

    /// What to do after a failed attempt.
    pub(crate) fn after(&self, attempt: u32, failure: &Failure) -> Outcome {
        let by_schedule = self.retry.delay(attempt);
        let delay = match failure.advice() {
            Advice::Never => None,
            Advice::BySchedule => by_schedule,
            // The advice says when, and the schedule whether at all.
            Advice::After(delay) => by_schedule.map(|_| delay),
        };
        match delay {
            Some(delay) => self.later(delay, || failure.to_string()),
            None => buried(failure),
        }
    }

    /// What the handler asked for, within limits.
    pub(crate) fn asked(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Retry { after } => self.later(after, || "the handler asked for another attempt".to_owned()),
            Outcome::DeadLetter { reason } => Outcome::DeadLetter { reason: cut(reason) },
            outcome => outcome,
        }
    }

    /// Another attempt after a time. Where the broker keeps no message back, one that is to wait is given up: trying it
    /// at once is not what was asked for. One that is to wait for too long comes back earlier, which is one more attempt.
    fn later(&self, delay: Duration, why: impl FnOnce() -> String) -> Outcome {
        if self.longest.is_zero() && !delay.is_zero() {
            let reason = format!("{} (not to be tried again before {delay:?}, which the broker cannot do)", why());
            return Outcome::DeadLetter { reason: cut(reason) };
        }
        Outcome::Retry { after: delay.min(self.longest) }
    }
}

fn unknown(name: &str, version: u32, is_other: bool) -> Failure {
    if is_other {
        format!("no handler here knows the event type `{name}`").into()
    } else {
        format!("{name} has version {version}, which is newer than this program").into()
    }
}

fn buried(failure: &Failure) -> Outcome {
    Outcome::DeadLetter { reason: cut(failure.to_string()) }
}

fn cut(mut reason: String) -> String {
    if reason.len() > REASON {
        let end = (0..=REASON).rev().find(|end| reason.is_char_boundary(*end)).unwrap_or(0);
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use mainspring_broker::{DeliveryTag, Message};
    use mainspring_event::NewEvent;
    use mainspring_retry::Advise;

    use super::*;

    const KNOWN: &[EventType] = &[EventType { name: "OrderPlaced", version: 2, tags: &[] }];

    fn policy(unknown: Unknown) -> Policy {
        Policy { retry: Retry::times(2), unknown, accepts: vec![KNOWN], longest: Duration::from_secs(60) }
    }

    fn delivery(event_type: &str, version: u32, attempt: u32) -> Delivery {
        let mut event = NewEvent::json("order-1".parse().unwrap(), event_type.parse().unwrap(), "{}");
        event.schema_version = version;
        let message = Message::event("orders".parse().unwrap(), event);
        let tag = DeliveryTag { number: 1, epoch: 1 };
        Delivery { tag, message, place: None, stored: None, attempt }
    }

    #[track_caller]
    fn check(unknown: Unknown, delivery: &Delivery, expected: &str) {
        let outcome = policy(unknown).before(delivery);
        let text = outcome.map_or_else(|| "handle".to_owned(), |outcome| format!("{outcome:?}"));
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn what_no_handler_knows_goes_by_the_policy() {
        for unknown in [Unknown::DeadLetter, Unknown::Retry, Unknown::Ignore] {
            check(unknown, &delivery("OrderPlaced", 2, 1), "handle");
            check(unknown, &delivery("OrderPlaced", 1, 3), "handle");
        }
        let other = delivery("OrderShipped", 1, 1);
        check(
            Unknown::DeadLetter,
            &other,
            "DeadLetter { reason: \"no handler here knows the event type `OrderShipped`",
        );
        check(Unknown::Retry, &other, "Retry");
        check(Unknown::Retry, &delivery("OrderShipped", 1, 3), "DeadLetter");
        check(Unknown::Ignore, &other, "Ack");
    }

    #[test]
    fn a_newer_version_is_never_ignored() {
        let newer = delivery("OrderPlaced", 3, 1);
        check(Unknown::DeadLetter, &newer, "DeadLetter { reason: \"OrderPlaced has version 3");
        check(Unknown::Retry, &newer, "Retry");
        check(Unknown::Ignore, &newer, "DeadLetter");
    }

    #[test]
    fn a_message_that_ended_every_attempt_without_an_answer_is_given_up_unhandled() {
        check(Unknown::Ignore, &delivery("OrderPlaced", 1, 3), "handle");
        check(Unknown::Ignore, &delivery("OrderPlaced", 1, 4), "DeadLetter { reason: \"given up after 3 attempts");
    }

    #[test]
    fn advice_says_when_and_the_schedule_whether_at_all() {
        let policy = policy(Unknown::DeadLetter);
        let failing = || "x".parse::<u8>();
        let after = |seconds| Outcome::Retry { after: Duration::from_secs(seconds) };
        assert_eq!(policy.after(1, &failing().unwrap_err().into()), after(0));
        assert_eq!(policy.after(2, &failing().retry_after(Duration::from_secs(9)).unwrap_err()), after(9));
        assert_eq!(policy.after(2, &failing().retry_after(Duration::from_secs(99)).unwrap_err()), after(60));
        let given_up = Outcome::DeadLetter { reason: "invalid digit found in string".to_owned() };
        assert_eq!(policy.after(3, &failing().retry_after(Duration::from_secs(9)).unwrap_err()), given_up);
        assert_eq!(policy.after(1, &failing().permanent().unwrap_err()), given_up);
    }

    #[test]
    fn a_message_is_never_tried_at_once_that_was_to_wait() {
        let policy = Policy { longest: Duration::ZERO, ..policy(Unknown::DeadLetter) };
        let failure = "x".parse::<u8>().retry_after(Duration::from_secs(9)).unwrap_err();
        let Outcome::DeadLetter { reason } = policy.after(1, &failure) else { panic!("it is given up") };
        assert!(reason.ends_with("(not to be tried again before 9s, which the broker cannot do)"), "{reason}");
        assert_eq!(policy.after(1, &"no".into()), Outcome::Retry { after: Duration::ZERO });
    }

    #[test]
    fn a_reason_fits_into_a_header() {
        let Outcome::DeadLetter { reason } =
            policy(Unknown::DeadLetter).asked(Outcome::DeadLetter { reason: "ä".repeat(1_000) })
        else {
            panic!("a dead letter stays one")
        };
        assert!(reason.len() <= REASON + '…'.len_utf8() && reason.ends_with("ä…"));
    }
}
