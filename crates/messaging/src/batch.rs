//! Many deliveries in one call, for handlers that are cheaper so: bulk inserts, calls over a network.

use std::{ops::Deref, vec};

use mainspring_event::{Event, EventType};
use mainspring_retry::Advise;

use crate::{Context, Delivered, FromDelivery, Rejection, Takes};

/// Events that were delivered one after the other, at least one. The subscription says how many at most
/// ([`Subscription::batches`](crate::Subscription::batches)).
///
/// A handler that returns `()` has handled all of them, and one that fails none. One that returns a
/// `Vec<Result<(), Failure>>` answers for each, in their order. What cannot be decoded never gets here: it becomes a dead
/// letter for itself.
///
/// Where keys stay in order, a batch has no more than one message of a key: the next one comes when that is settled.
#[derive(Clone, Debug)]
pub struct Batch<E>(Vec<Delivered<E>>);

impl<E> Deref for Batch<E> {
    type Target = [Delivered<E>];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<E> IntoIterator for Batch<E> {
    type Item = Delivered<E>;
    type IntoIter = vec::IntoIter<Delivered<E>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<S: Sync, E: Event> FromDelivery<S> for Batch<E> {
    const ACCEPTS: Option<&'static [EventType]> = Some(E::TYPES);
    const TAKES: Takes = Takes::Batch;

    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        let mut events = Vec::with_capacity(context.deliveries().len());
        for (index, delivery) in context.deliveries().to_vec().into_iter().enumerate() {
            match Delivered::decode(delivery).permanent() {
                Ok(event) => events.push(event),
                Err(failure) => context.set_aside(index, failure),
            }
        }
        // The handler has nothing to do; each delivery has its failure.
        if events.is_empty() { Err(Rejection::Duplicate) } else { Ok(Self(events)) }
    }
}
