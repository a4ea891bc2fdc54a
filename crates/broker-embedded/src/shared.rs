//! What the broker, its members and its tasks share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use mainspring_broker::BrokerError;
use mainspring_store::{Clock, Store};
use tokio::{sync::Semaphore, task::JoinHandle, time};

use crate::state::State;

/// So many kibibytes of messages may be on their way to the store; whoever sends more waits.
pub(crate) const ADMISSION: usize = 32 << 10;

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    /// How often the clock is looked at, at least: nobody tells when one behind a seam has moved.
    pub(crate) look: Duration,
    pub(crate) admission: Arc<Semaphore>,
    /// Whoever creates topics and groups.
    pub(crate) creating: Arc<tokio::sync::Mutex<()>>,
    /// Whoever takes messages out of a group other than by settling them, until that is written: nobody else may go on
    /// reading for the group, and only the last one could say when.
    pub(crate) moving: Arc<tokio::sync::Mutex<()>>,
    /// The tasks of the broker, until somebody waits for their end.
    pub(crate) tasks: Mutex<Vec<JoinHandle<()>>>,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>, look: Duration, state: State) -> Self {
        Self {
            store,
            clock,
            look,
            admission: Arc::new(Semaphore::new(ADMISSION)),
            creating: Arc::default(),
            moving: Arc::default(),
            tasks: Mutex::new(Vec::new()),
            state: Mutex::new(state),
        }
    }

    /// A panic while the lock was held left nothing half-done that would matter more than the panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state at the present moment.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let now = self.clock.now();
        let mut state = self.lock();
        state.now = state.now.max(now);
        change(&mut state)
    }

    /// The same, if the broker takes anything.
    pub(crate) fn open<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, BrokerError> {
        self.change(|state| if state.closing || state.ended { Err(BrokerError::Closed) } else { Ok(change(state)) })
    }

    /// Waits until something holds, or until `deadline`.
    pub(crate) async fn until(&self, deadline: Instant, holds: impl Fn(&mut State) -> bool) {
        let mut changed = self.lock().changed.subscribe();
        while !self.change(&holds) {
            if time::timeout_at(deadline.into(), changed.changed()).await.is_err() {
                return;
            }
        }
    }
}

/// Keeps the broker's tasks at work, as long as a handle or a member is there.
pub(crate) struct Life(pub(crate) Arc<Shared>);

impl Drop for Life {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closing = true;
        state.ended = true;
        state.wake_everybody();
    }
}
