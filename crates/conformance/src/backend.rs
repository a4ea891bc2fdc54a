//! What a store has to provide so that the laws can be asked of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mainspring_store::{Clock, EventStore};

/// A kind of store under test.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What to call it in messages.
    fn name(&self) -> &'static str;

    /// What it cannot do, each with the reason. Nothing, unless it says so.
    fn opt_outs(&self) -> &'static [OptOut] {
        &[]
    }

    /// A place for one store, different from all others. What it needs on the outside, such as a directory, lives as
    /// long as the place.
    async fn create(&self) -> Box<dyn Home>;

    /// How long a law waits for what must come before it says that it is missing.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

/// The place of one store.
#[async_trait]
pub trait Home: Send + Sync {
    /// Opens the store that lives here; called once, and it is empty.
    ///
    /// It takes its time from `clock`, unless the backend opts out of [`Capability::ManualClock`].
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore>;

    /// Closes `store`, to which no other handle and no reader is left, and opens what it left behind.
    ///
    /// # Panics
    /// Unless it is overridden: a backend without it opts out of [`Capability::Reopen`].
    async fn reopen(&self, store: Arc<dyn EventStore>, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        let _ = (store, clock);
        panic!("the backend neither overrides `reopen` nor opts out of it")
    }

    /// Another handle on the open store, as separate as the backend can make it: another connection, another process.
    ///
    /// # Panics
    /// Unless it is overridden: a backend without it opts out of [`Capability::SecondHandle`].
    async fn second(&self) -> Arc<dyn EventStore> {
        panic!("the backend neither overrides `second` nor opts out of it")
    }
}

/// What some laws need beyond an open store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// A second life of the same store after it was closed.
    Reopen,
    /// Another handle on the open store.
    SecondHandle,
    /// A clock that the test sets.
    ManualClock,
}

/// A declared inability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptOut<N = Capability> {
    /// What the backend cannot do.
    pub lacks: N,
    /// Why not, for the reader of the test's output.
    pub why: &'static str,
}
