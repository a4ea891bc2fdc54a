//! A message that a group has not settled, and what happens to it.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_broker::{DeliveryTag, Message};

use crate::{codec::progress::Tried, topic::Stored};

pub(crate) struct Item {
    pub(crate) stored: Arc<Stored>,
    /// Which of the group's slices it lies in.
    pub(crate) slice: usize,
    pub(crate) attempts: u32,
    pub(crate) first_attempt: Option<Timestamp>,
    pub(crate) status: Status,
    /// Whether its body is in memory.
    pub(crate) is_whole: bool,
}

/// One delivery of a message to a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) member: u64,
    pub(crate) epoch: u64,
    /// When it ends, unless it is extended.
    pub(crate) until: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It is on its way to the store.
    Unborn,
    /// It waits to be delivered.
    Ready,
    /// It waits for a time, and then to be delivered.
    Waiting(Timestamp),
    /// A member is to have it; that this is an attempt is on its way to the store, perhaps with the message itself.
    Taking { member: u64 },
    /// It waits for the member's next call.
    Fetched { member: u64 },
    /// A member has it.
    Held(Holding),
    /// A member has it, and what became of it is on its way to the store.
    Settling(Holding),
    /// The broker itself settles it.
    Moving,
    /// It became a dead letter, and holds its key.
    Dead,
}

impl Item {
    /// What is known of it, as it is written down.
    pub(crate) fn tried(&self) -> Tried {
        let not_before = match self.status {
            Status::Waiting(time) => Some(time),
            _ => None,
        };
        let dead = self.status == Status::Dead;
        Tried { attempts: self.attempts, first: self.first_attempt, not_before, dead }
    }

    /// Forgets the body and what travels beside it.
    pub(crate) fn strip(&mut self) {
        let Stored { place, stored, end, expires, size, message } = &*self.stored;
        let mut rest = Message::new(message.destination.clone(), Bytes::new()).priority(message.priority);
        // A copy: the key as it is would hold on to the whole message.
        rest.key = message.key.as_deref().map(Bytes::copy_from_slice);
        let (place, stored, end, expires, size) = (place.clone(), *stored, *end, *expires, *size);
        self.stored = Arc::new(Stored { place, stored, end, expires, size, message: rest });
        self.is_whole = false;
    }

    pub(crate) fn offset(&self) -> u64 {
        self.stored.place.offset
    }

    pub(crate) fn size(&self) -> usize {
        self.stored.size
    }

    /// Who has it, or is about to.
    pub(crate) fn member(&self) -> Option<u64> {
        match self.status {
            Status::Taking { member } | Status::Fetched { member } => Some(member),
            Status::Held(holding) | Status::Settling(holding) => Some(holding.member),
            _ => None,
        }
    }

    /// Whether a member has it.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.status, Status::Held(_) | Status::Settling(_))
    }

    /// The delivery that `tag` names, if it lasts.
    pub(crate) fn delivery(&self, tag: DeliveryTag, member: u64, now: Timestamp) -> Option<Holding> {
        match self.status {
            Status::Held(holding) if holding.member == member && holding.epoch == tag.epoch && holding.until > now => {
                Some(holding)
            }
            _ => None,
        }
    }
}
