//! When to ask for messages: not while too much fails, and not faster than is allowed.

use std::time::Duration;

use tokio::time::Instant;

use crate::subscription::{Breaker, Rate};

/// Whether messages may be asked for, by the failures and by the rate.
pub(super) struct Gate {
    breaker: Option<Circuit>,
    bucket: Option<Bucket>,
}

/// How many messages may be asked for, and when that should be looked at again if nothing else happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) messages: usize,
    pub(super) until: Option<Instant>,
}

struct Circuit {
    breaker: Breaker,
    in_a_row: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One message at a time, until one succeeds.
    HalfOpen,
}

struct Bucket {
    rate: Rate,
    tokens: f64,
    at: Instant,
}

impl Gate {
    pub(super) fn new(breaker: Option<Breaker>, rate: Option<Rate>, now: Instant) -> Self {
        let breaker = breaker.map(|breaker| Circuit { breaker, in_a_row: 0, state: State::Closed });
        Self { breaker, bucket: rate.map(|rate| Bucket { rate, tokens: rate.messages.into(), at: now }) }
    }

    /// How much of `room` may be used now, when so many messages are in work.
    pub(super) fn room(&mut self, room: usize, in_work: usize, now: Instant) -> Room {
        let by_circuit = self.breaker.as_mut().map_or(Room { messages: room, until: None }, |circuit| {
            if let State::Open { until } = circuit.state {
                if now < until {
                    return Room { messages: 0, until: Some(until) };
                }
                circuit.state = State::HalfOpen;
            }
            let messages =
                if circuit.state == State::HalfOpen { room.min(1_usize.saturating_sub(in_work)) } else { room };
            Room { messages, until: None }
        });
        match &mut self.bucket {
            Some(bucket) if by_circuit.messages > 0 => bucket.room(by_circuit.messages, now),
            _ => by_circuit,
        }
    }

    /// So many messages have come.
    pub(super) fn took(&mut self, messages: usize) {
        if let Some(bucket) = &mut self.bucket {
            bucket.tokens -= messages as f64;
        }
    }

    pub(super) fn succeeded(&mut self) {
        if let Some(circuit) = &mut self.breaker {
            circuit.in_a_row = 0;
            if circuit.state == State::HalfOpen {
                circuit.state = State::Closed;
            }
        }
    }

    /// An attempt failed that may succeed later. Says whether that began a pause.
    pub(super) fn failed(&mut self, now: Instant) -> bool {
        let Some(circuit) = &mut self.breaker else { return false };
        circuit.in_a_row = circuit.in_a_row.saturating_add(1);
        let opens = match circuit.state {
            State::Closed => circuit.in_a_row >= circuit.breaker.failures,
            State::HalfOpen => true,
            State::Open { .. } => false,
        };
        if opens {
            circuit.state = State::Open { until: now + circuit.breaker.pause };
        }
        opens
    }
}

impl Bucket {
    fn room(&mut self, room: usize, now: Instant) -> Room {
        let (most, per) = (f64::from(self.rate.messages), self.rate.per.as_secs_f64());
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * most / per;
        (self.tokens, self.at) = ((self.tokens + earned).min(most), now);
        if self.tokens >= 1.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the rate")]
            return Room { messages: room.min(self.tokens as usize), until: None };
        }
        // A nanosecond more, so that rounding does not wake it just before.
        let wait = Duration::from_secs_f64((1.0 - self.tokens) * per / most) + Duration::from_nanos(1);
        Room { messages: 0, until: Some(now + wait) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn failures_in_a_row_pause_and_one_message_tries_the_water() {
        let start = Instant::now();
        let mut gate = Gate::new(Some(Breaker { failures: 3, pause: SECOND }), None, start);
        assert!(!gate.failed(start) && !gate.failed(start));
        gate.succeeded();
        assert!(!gate.failed(start) && !gate.failed(start), "a success between them begins the count anew");
        assert_eq!(gate.room(9, 2, start).messages, 9);
        assert!(gate.failed(start));
        assert_eq!(gate.room(9, 0, start), Room { messages: 0, until: Some(start + SECOND) });
        assert!(!gate.failed(start), "what was in work does not make the pause longer");

        let later = start + SECOND;
        assert_eq!(gate.room(9, 1, later).messages, 0, "something else is in work");
        assert_eq!(gate.room(9, 0, later).messages, 1);
        assert!(gate.failed(later));
        assert_eq!(gate.room(9, 0, later).messages, 0);
        assert_eq!(gate.room(9, 0, later + SECOND).messages, 1);
        gate.succeeded();
        assert_eq!(gate.room(9, 5, later + SECOND).messages, 9);
    }

    #[tokio::test]
    async fn a_rate_lets_bursts_through_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut gate = Gate::new(None, Some(Rate { messages: 4, per: SECOND }), start);
        assert_eq!(gate.room(3, 0, start).messages, 3);
        assert_eq!(gate.room(9, 0, start).messages, 4);
        gate.took(4);
        let Room { messages: 0, until: Some(until) } = gate.room(9, 0, start) else { panic!("nothing is left") };
        assert_eq!((until - start).as_millis(), 250);
        assert_eq!(gate.room(9, 0, until).messages, 1);
        assert_eq!(gate.room(9, 0, start + 60 * SECOND).messages, 4, "what was not used is not saved up");
    }
}
