//! The reference model: the contract in its plainest form, without a disk and without an index.
//!
//! Every store is compared with it, so it favours the obvious over the fast: each call scans. It is also the store of
//! unit tests and of `memory:`.

mod reading;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use futures_util::StreamExt;
use mainspring_event::{Position, StoredEvent};
use tokio::sync::watch;

use crate::{
    Append, AppendError, Appended, BatchStream, Capabilities, Clock, EventStore, Info, Limits, Lineage, Read,
    ReadError, Restore, RestoreError, StoreId, SystemClock,
};
use state::State;

/// An event store that lives and dies with the process. Cloning shares it.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    store: StoreId,
    lineage: Lineage,
    limits: Limits,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Wakes followers; the state is the truth.
    head: watch::Sender<Position>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store that takes its time from `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let shared = Shared {
            store: StoreId::new(),
            lineage: Lineage::new(),
            limits: Limits::default(),
            clock,
            state: Mutex::default(),
            head: watch::Sender::new(Position::START),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Shared {
    /// A panic while the lock was held left no half-done append behind: the state is changed by moves only.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let shared = &self.shared;
        shared.limits.check(&append)?;
        let mut state = shared.lock();
        let appended = state.append(append, shared.clock.now())?;
        shared.head.send_replace(state.head());
        Ok(appended)
    }

    fn read(&self, read: Read) -> BatchStream {
        reading::stream(self.shared.clone(), read).boxed()
    }

    async fn info(&self) -> Result<Info, ReadError> {
        let state = self.shared.lock();
        let first = state.first(self.shared.clock.now());
        Ok(Info { store: self.shared.store, lineage: self.shared.lineage, first, head: state.head() })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: false,
            multi_process: false,
            transactional: false,
            physical_retention: false,
            limits: self.shared.limits,
        }
    }
}

#[async_trait]
impl Restore for MemoryStore {
    async fn restore(&self, events: Vec<StoredEvent>) -> Result<(), RestoreError> {
        let mut state = self.shared.lock();
        state.restore(events)?;
        self.shared.head.send_replace(state.head());
        Ok(())
    }
}
