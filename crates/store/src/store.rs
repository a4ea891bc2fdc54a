//! The contract, and the handle that user code holds.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;

use crate::{Append, AppendError, Appended, Capabilities, EventBatch, Info, Read, ReadError};

/// What a read yields. It ends after an error.
pub type BatchStream = BoxStream<'static, Result<EventBatch, ReadError>>;

/// An event store: atomic, conditional append of a batch of events to any number of streams, and ordered read.
///
/// An implementor guarantees these laws; `mainspring-conformance` has a test for each.
///
/// 1. **Atomic.** Readers see the whole append or nothing, after a crash too (retention excepted).
/// 2. **Durable and faithful.** After `Ok` the events survive the loss of the process and of power (where
///    [`Capabilities::durable`] says so), come back byte for byte, and every read begun later, on any handle, sees them.
/// 3. **Ordered.** Positions strictly increase in commit order. A reader that has seen a position never later meets a new
///    event below it.
/// 4. **Versions** of a stream are contiguous from 1. A stream keeps its head for ever; a tombstoned one refuses appends
///    and reads.
/// 5. **Checks are linearizable.** All hold at the moment of the commit.
/// 6. **Idempotent.** Event ids are looked up before checks: all known in the same order with the same content gives the
///    original [`Appended`]; none known lets the checks decide; anything else is [`AppendError::IdReused`]. Content is
///    stream, type, schema version, content type, payload and tags.
/// 7. **Honest errors.** [`AppendError::Failed`] was surely not written, [`AppendError::Unknown`] may have been.
/// 8. **Follow is seamless** from history to live, without gap or duplicate.
/// 9. **Cancel-safe.** Dropping the append future leaves all or nothing.
/// 10. **Bounded.** Memory does not grow with the store; slow readers never block writers; sizes are limited.
#[async_trait]
pub trait EventStore: Send + Sync + 'static {
    /// Makes all of `append` durable and visible in one commit, or nothing.
    ///
    /// # Errors
    /// [`AppendError`]; every variant says whether something may have been written.
    ///
    /// # Cancel safety
    /// Dropping the future leaves all or nothing. Repeat the identical append to find out which.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Reads in batches bounded in bytes. Nothing happens until the stream is polled.
    ///
    /// # Cancel safety
    /// Dropping the stream, or a pending `next`, loses nothing: read on after the last batch's
    /// [`through`](EventBatch::through).
    fn read(&self, read: Read) -> BatchStream;

    /// Who the store is and how far it has come.
    ///
    /// # Errors
    /// [`ReadError`] when that cannot be read now.
    async fn info(&self) -> Result<Info, ReadError>;

    /// What the store can do; constant while it is open.
    fn capabilities(&self) -> Capabilities;
}

/// Any event store, cheap to clone, without a type parameter: what user code holds.
#[derive(Clone)]
pub struct Store(Arc<dyn EventStore>);

impl Store {
    /// Wraps a store.
    pub fn new(store: impl EventStore) -> Self {
        Self(Arc::new(store))
    }
}

impl From<Arc<dyn EventStore>> for Store {
    fn from(store: Arc<dyn EventStore>) -> Self {
        Self(store)
    }
}

impl std::ops::Deref for Store {
    type Target = dyn EventStore;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("capabilities", &self.0.capabilities()).finish_non_exhaustive()
    }
}
