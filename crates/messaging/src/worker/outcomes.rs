//! From what handlers answer to what becomes of their deliveries.

use std::time::Duration;

use mainspring_broker::{Delivery, Outcome};
use mainspring_retry::{Advice, Failure};
use tokio::time::Instant;

use super::{
    Worker,
    call::{Answer, Called},
    settling::Settled,
};
use crate::{
    RunError,
    metrics::{End, Noted},
};

impl Worker {
    /// A handler has answered.
    pub(super) fn called(&mut self, called: Called) {
        let Called { deliveries, answer, began } = called;
        let now = Instant::now();
        let took = Some(now - began);
        match answer {
            Answer::Settled => {
                for delivery in deliveries.iter() {
                    self.note(delivery, End::Success, took);
                    self.held.end(delivery.tag);
                }
                self.gate.succeeded();
            }
            Answer::All(answer) => {
                for delivery in deliveries.iter() {
                    self.answered(delivery, answer.as_ref(), took, now);
                }
            }
            Answer::Each(each) => {
                for (delivery, answer) in deliveries.iter().zip(each) {
                    self.answered(delivery, answer.as_ref(), took, now);
                }
            }
        }
    }

    /// One delivery has its answer.
    fn answered(
        &mut self,
        delivery: &Delivery,
        answer: Result<&Outcome, &Failure>,
        took: Option<Duration>,
        now: Instant,
    ) {
        let outcome = match answer {
            Ok(outcome) => self.policy.asked(outcome.clone()),
            Err(failure) => {
                let outcome = self.policy.after(delivery.attempt, failure);
                let group = &self.surroundings.group;
                tracing::warn!(%group, attempt = delivery.attempt, %failure, ?outcome, "a handler failed");
                if failure.advice() != Advice::Never && self.gate.failed(now) {
                    tracing::warn!(%group, "too many failures in a row; no messages are asked for until the pause is over");
                    self.meter.change(|metrics| metrics.pauses += 1);
                }
                outcome
            }
        };
        if matches!(answer, Ok(Outcome::Ack)) {
            self.gate.succeeded();
        }
        self.decided(delivery, outcome, took);
    }

    /// What becomes of a delivery is decided; it is settled soon.
    pub(super) fn decided(&mut self, delivery: &Delivery, outcome: Outcome, took: Option<Duration>) {
        let end = match outcome {
            Outcome::Ack => End::Success,
            Outcome::DeadLetter { .. } => End::DeadLetter,
            Outcome::Release => End::Release,
            _ => End::Failure,
        };
        self.note(delivery, end, took);
        if self.held.is_own(delivery.tag) {
            self.settling.add(delivery.tag, outcome);
        } else {
            self.held.end(delivery.tag);
            self.meter.change(|metrics| metrics.stale += 1);
        }
    }

    fn note(&mut self, delivery: &Delivery, end: End, took: Option<Duration>) {
        let event_type = delivery.message.envelope.as_ref().map(|envelope| envelope.event_type.clone());
        self.noted.push(Noted { event_type, end, took });
    }

    pub(super) fn settled(&mut self, settled: Settled) -> Result<(), RunError> {
        for tag in settled.ended {
            self.held.end(tag);
        }
        if settled.stale > 0 || settled.repeated > 0 {
            self.meter.change(|metrics| {
                metrics.stale += settled.stale;
                metrics.repeated += settled.repeated;
            });
        }
        match settled.refused {
            Some(source) => Err(RunError::Settle { group: self.surroundings.group.clone(), source }),
            None => Ok(()),
        }
    }
}
