//! A store behind a gate, which holds appends and reads for a while and lets some of the appends fail.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _};
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, EventStore, Info, MemoryStore, Read, ReadError, Store,
};
use tokio::sync::watch;

use crate::kit;

/// The gate, for the test that tends it.
pub(crate) struct Gate {
    appends_held: watch::Sender<bool>,
    reads_held: watch::Sender<bool>,
    /// How many appends have come to the gate, and how many have passed it.
    came: AtomicUsize,
    passed: AtomicUsize,
    /// Which of those that pass fail.
    failing: Mutex<Range<usize>>,
    /// One append after the other passes, in the order in which they came.
    turn: tokio::sync::Mutex<()>,
}

/// A store in memory behind it.
struct Gated {
    store: MemoryStore,
    gate: Arc<Gate>,
}

impl Gate {
    /// An empty store, and the gate before it, which is open.
    pub(crate) fn before_a_store() -> (Store, Arc<Self>) {
        let gate = Arc::new(Self {
            appends_held: watch::Sender::new(false),
            reads_held: watch::Sender::new(false),
            came: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            failing: Mutex::new(0..0),
            turn: tokio::sync::Mutex::default(),
        });
        (Store::new(Gated { store: MemoryStore::new(), gate: gate.clone() }), gate)
    }

    /// Says whether appends wait before the gate.
    pub(crate) fn hold_appends(&self, held: bool) {
        self.appends_held.send_replace(held);
    }

    /// Says whether reads wait before the gate.
    pub(crate) fn hold_reads(&self, held: bool) {
        self.reads_held.send_replace(held);
    }

    /// Lets these of the appends fail that pass from now on, of which the first is number 0.
    pub(crate) fn fail(&self, which: Range<usize>) {
        let passed = self.passed.load(SeqCst);
        let which = passed + which.start..passed.saturating_add(which.end);
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = which;
    }

    /// How many appends have passed.
    pub(crate) fn passed(&self) -> usize {
        self.passed.load(SeqCst)
    }

    /// Fails unless so many appends stand before the gate.
    pub(crate) fn assert_waiting(&self, count: usize) {
        assert_eq!(self.came.load(SeqCst) - self.passed.load(SeqCst), count, "appends before the gate");
    }

    /// Waits until so many appends stand before the gate.
    pub(crate) async fn until_waiting(&self, count: usize) {
        kit::until(async || self.came.load(SeqCst) - self.passed.load(SeqCst) >= count).await;
    }
}

#[async_trait]
impl EventStore for Gated {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.gate.came.fetch_add(1, SeqCst);
        let _turn = self.gate.turn.lock().await;
        let mut held = self.gate.appends_held.subscribe();
        held.wait_for(|held| !held).await.expect("the gate lives as long as the store");
        let number = self.gate.passed.fetch_add(1, SeqCst);
        if self.gate.failing.lock().unwrap_or_else(PoisonError::into_inner).contains(&number) {
            return Err(AppendError::Failed("the disk is full".into()));
        }
        self.store.append(append).await
    }

    fn read(&self, read: Read) -> BatchStream {
        let mut held = self.gate.reads_held.subscribe();
        let batches = self.store.read(read);
        let opened = async move {
            held.wait_for(|held| !held).await.expect("the gate lives as long as the store");
            batches
        };
        opened.flatten_stream().boxed()
    }

    async fn info(&self) -> Result<Info, ReadError> {
        self.store.info().await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}
