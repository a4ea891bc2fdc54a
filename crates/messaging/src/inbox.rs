//! Exactly-once effects in a database: which deliveries a handler has handled is recorded where it writes, in the same
//! transaction.

use std::{
    error::Error,
    future::Future,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use mainspring_event::EventId;
use mainspring_retry::{Advise, Failure};

use crate::{BoxFuture, Committed, Context, FromDelivery, FromRef, Rejection, Takes, Transaction};

/// A database that remembers which deliveries were handled. Adapters of databases implement it.
///
/// An implementor guarantees:
/// 1. What [`record`](Self::record) writes is part of the transaction: it is there if and only if the transaction was
///    committed.
/// 2. Of two transactions that record the same handler and id, at most one is told [`Seen::First`] and commits; also
///    when they run at the same time.
/// 3. Entries are kept for a window that the adapter documents, which is longer than a message can come again.
pub trait Inbox: Sized + Send + Sync + 'static {
    /// What transactions are begun on; handlers have it in their state.
    type Pool: Send + Sync + 'static;

    /// A transaction. Dropping it rolls it back.
    type Tx: Send + 'static;

    /// Why the database refuses.
    type Error: Error + Send + Sync + 'static;

    /// Begins a transaction that may write.
    fn begin(pool: &Self::Pool) -> impl Future<Output = Result<Self::Tx, Self::Error>> + Send;

    /// Records in `tx` that `handler` handles `id`, and says whether it has done so before.
    fn record(tx: &mut Self::Tx, handler: &str, id: EventId) -> impl Future<Output = Result<Seen, Self::Error>> + Send;

    /// Commits.
    fn commit(tx: Self::Tx) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// Whether a delivery was handled before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a duplicate is not to be handled again"]
pub enum Seen {
    /// It was not.
    First,
    /// It was, and what that wrote is committed.
    Duplicate,
}

impl Seen {
    /// Whether it was handled before.
    pub fn is_duplicate(self) -> bool {
        self == Self::Duplicate
    }
}

/// A handler's transaction in a database, in which its delivery is recorded. What the handler writes through it is
/// committed after it returned `Ok`, and then the delivery is acknowledged; anything else rolls it back. A delivery that
/// was handled before is acknowledged, and the handler does not run.
///
/// The pool is a part of the handlers' state. Deliveries that nothing identifies are refused: where neither the message
/// nor the broker gives an id, duplicates cannot be told.
pub struct Once<DB: Inbox> {
    /// There until the handler lets go of it.
    tx: Option<DB::Tx>,
    slot: Slot<DB>,
}

/// Where the transaction lies after the handler has let go of it.
type Slot<DB> = Arc<Mutex<Option<<DB as Inbox>::Tx>>>;

/// A delivery that cannot be handled once.
#[derive(Debug, thiserror::Error)]
#[error("neither the message nor the broker gives it an id, so it cannot be handled exactly once")]
struct Unidentified;

/// The handler still had its transaction, or had passed it on, when it returned.
#[derive(Debug, thiserror::Error)]
#[error("the transaction outlived its handler, so it could not be committed")]
struct Outlived;

impl<DB: Inbox> Deref for Once<DB> {
    type Target = DB::Tx;

    fn deref(&self) -> &DB::Tx {
        self.tx.as_ref().expect("it is taken only when this is dropped")
    }
}

impl<DB: Inbox> DerefMut for Once<DB> {
    fn deref_mut(&mut self) -> &mut DB::Tx {
        self.tx.as_mut().expect("it is taken only when this is dropped")
    }
}

impl<DB: Inbox> Drop for Once<DB> {
    fn drop(&mut self) {
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.tx.take();
    }
}

impl<S: Sync, DB: Inbox> FromDelivery<S> for Once<DB>
where
    DB::Pool: FromRef<S>,
{
    const TRANSACTIONS: usize = 1;
    const TAKES: Takes = Takes::One;

    async fn from_delivery(context: &mut Context, state: &S) -> Result<Self, Rejection> {
        let id = context.delivery().id().ok_or(Unidentified).permanent()?;
        let pool = DB::Pool::from_ref(state);
        let mut tx = DB::begin(&pool).await?;
        if DB::record(&mut tx, context.group().as_str(), id).await?.is_duplicate() {
            return Err(Rejection::Duplicate);
        }
        let slot = Slot::<DB>::default();
        context.bind(InDatabase::<DB>(slot.clone()));
        Ok(Self { tx: Some(tx), slot })
    }
}

/// A transaction that waits for its handler to succeed.
struct InDatabase<DB: Inbox>(Slot<DB>);

impl<DB: Inbox> Transaction for InDatabase<DB> {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Committed, Failure>> {
        Box::pin(async move {
            let tx = self.0.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Outlived)?;
            DB::commit(tx).await?;
            Ok(Committed::Done)
        })
    }
}
