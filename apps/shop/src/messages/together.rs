//! A batch of deliveries and what comes of it in one append: a handler's argument of the shop's own.
//!
//! [`Commit`](mainspring::Commit) does this for one delivery, and each of its appends is synced by itself. Those who keep
//! every message need that for many of them at once.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use mainspring::{
    Failure,
    broker::{CommitError, Delivery, DeliveryTag, Outcome, Settler},
    event::NewEvent,
    messaging::{Committed, Context, FromDelivery, Rejection, Takes, Transaction},
    store::Append,
};

/// What was delivered, and the transaction in which it is handled: what is appended, and the acknowledgement of all of it,
/// happen together when the handler returns `Ok`, or not at all.
pub(super) struct Together {
    deliveries: Arc<[Arc<Delivery>]>,
    events: Staged,
}

type Staged = Arc<Mutex<Vec<NewEvent>>>;

impl Together {
    /// What was delivered.
    pub(super) fn deliveries(&self) -> &[Arc<Delivery>] {
        &self.deliveries
    }

    /// Appends an event when the handler succeeds.
    pub(super) fn append(&self, event: NewEvent) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl<S: Sync> FromDelivery<S> for Together {
    const TRANSACTIONS: usize = 1;
    const TAKES: Takes = Takes::Batch;
    const IN_STORE: bool = true;

    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        let settler = context.settler().ok_or("there is nothing to commit to outside the runtime")?.clone();
        let deliveries: Arc<[_]> = context.deliveries().into();
        let events = Staged::default();
        context.bind(InOneAppend { settler, deliveries: deliveries.clone(), events: events.clone() });
        Ok(Self { deliveries, events })
    }
}

/// The transaction.
struct InOneAppend {
    settler: Arc<dyn Settler>,
    deliveries: Arc<[Arc<Delivery>]>,
    events: Staged,
}

impl Transaction for InOneAppend {
    fn commit(self: Box<Self>) -> Pin<Box<dyn Future<Output = Result<Committed, Failure>> + Send>> {
        Box::pin(async move {
            let events = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
            let tags = self.deliveries.iter().map(|delivery| delivery.tag);
            let acknowledged = tags.map(|tag: DeliveryTag| (tag, Outcome::Ack)).collect();
            let store = self.settler.in_store().ok_or("the broker is not made of an event store")?;
            match store.append(Append::new(events), acknowledged, Vec::new()).await {
                Ok(_) => Ok(Committed::Settled),
                Err(CommitError::Append(error)) => Err(error.into()),
                // Where nobody knows whether it was written, the next attempt is refused if it was.
                Err(error) => Err(error.into()),
            }
        })
    }
}
