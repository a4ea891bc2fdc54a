//! A store that obeys the reference model but for one flaw.

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use mainspring_conformance::{Backend, Home};
use mainspring_event::{EventId, NewEvent, StoredEvent, StreamName, Version};
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, Check, Clock, Conflict, EventBatch, EventStore, Expected,
    Info, Limits, MemoryStore, Query, Read, ReadError,
};

pub(crate) type Answer = Result<Appended, AppendError>;

/// One way in which a store is wrong.
pub(crate) struct Flaw {
    /// Completes "a store that …".
    pub(crate) name: &'static str,
    /// The laws that must notice.
    pub(crate) caught_by: &'static [&'static str],
    pub(crate) append: for<'a> fn(&'a Broken, Append) -> BoxFuture<'a, Answer>,
    pub(crate) read: fn(&Broken, Read) -> BatchStream,
    pub(crate) info: fn(&Broken, Info) -> Info,
    pub(crate) limits: fn(Limits) -> Limits,
    /// What is found after the store was closed.
    pub(crate) reopen: fn(&Broken) -> Broken,
    /// What another handle sees.
    pub(crate) second: fn(&Broken) -> Broken,
}

/// No flaw at all.
pub(crate) const SOUND: Flaw = Flaw {
    name: "is sound",
    caught_by: &[],
    append: |store, append| store.inner.append(append),
    read: |store, read| store.inner.read(read),
    info: |_, info| info,
    limits: |limits| limits,
    reopen: Broken::clone,
    second: Broken::clone,
};

/// The reference model with a flaw.
#[derive(Clone)]
pub(crate) struct Broken {
    pub(crate) inner: MemoryStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) memo: Arc<Memo>,
    flaw: &'static Flaw,
}

/// What flaws remember.
#[derive(Default)]
pub(crate) struct Memo {
    pub(crate) count: AtomicU64,
    pub(crate) flag: AtomicBool,
    ids: Mutex<HashSet<EventId>>,
    streams: Mutex<HashSet<StreamName>>,
    truncated: Mutex<HashMap<StreamName, Version>>,
    events: Mutex<Vec<NewEvent>>,
    followers: Mutex<Vec<Arc<AtomicU64>>>,
}

impl Memo {
    pub(crate) fn ids(&self) -> MutexGuard<'_, HashSet<EventId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn streams(&self) -> MutexGuard<'_, HashSet<StreamName>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn truncated(&self) -> MutexGuard<'_, HashMap<StreamName, Version>> {
        self.truncated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn events(&self) -> MutexGuard<'_, Vec<NewEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For each live reader, how many appends it has not polled for.
    pub(crate) fn followers(&self) -> MutexGuard<'_, Vec<Arc<AtomicU64>>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Broken {
    pub(crate) fn new(flaw: &'static Flaw, clock: Arc<dyn Clock>) -> Self {
        Self { inner: MemoryStore::with_clock(clock.clone()), clock, memo: Arc::default(), flaw }
    }

    /// The same store on another model.
    pub(crate) fn on(&self, inner: MemoryStore) -> Self {
        Self { inner, ..self.clone() }
    }

    /// A store of the same flaw in which nothing was written.
    pub(crate) fn emptied(&self) -> Self {
        Self::new(self.flaw, self.clock.clone())
    }

    pub(crate) fn info_now(&self) -> Info {
        self.inner.info().now_or_never().expect("the model never waits").expect("the model can always be read")
    }

    /// What the model reads.
    pub(crate) fn batches(&self, read: Read) -> Result<Vec<EventBatch>, ReadError> {
        let batches: Vec<_> = self.inner.read(read).collect().now_or_never().expect("a finite read of the model");
        batches.into_iter().collect()
    }

    /// The events that the model reads; none where it refuses.
    pub(crate) fn events(&self, query: Query) -> Vec<StoredEvent> {
        let batches = self.batches(Read::new(query)).unwrap_or_default();
        batches.iter().flat_map(EventBatch::iter).map(|event| event.to_stored().expect("valid names")).collect()
    }

    /// Whether the model knows this id.
    pub(crate) fn knows(&self, id: EventId) -> bool {
        !self.events(Query::Ids(vec![id])).is_empty()
    }

    /// Where a stream is.
    pub(crate) fn version(&self, stream: &StreamName) -> Version {
        let expected = Expected::Exactly(Version(u64::MAX));
        match self.append_now(Append::default().check(Check::Stream { stream: stream.clone(), expected })) {
            Err(AppendError::Conflict(Conflict::Stream { actual, .. })) => actual,
            _ => Version::NONE,
        }
    }

    pub(crate) fn is_tombstoned(&self, stream: &StreamName) -> bool {
        let check = Check::Stream { stream: stream.clone(), expected: Expected::Any };
        matches!(self.append_now(Append::default().check(check)), Err(AppendError::Tombstoned { .. }))
    }

    pub(crate) fn append_now(&self, append: Append) -> Answer {
        self.inner.append(append).now_or_never().expect("the model never waits")
    }
}

// Written out, so that a flaw can do its mischief before the future is polled.
impl EventStore for Broken {
    fn append<'a, 'b>(&'a self, append: Append) -> Pin<Box<dyn Future<Output = Answer> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        (self.flaw.append)(self, append)
    }

    fn read(&self, read: Read) -> BatchStream {
        (self.flaw.read)(self, read)
    }

    fn info<'a, 'b>(&'a self) -> Pin<Box<dyn Future<Output = Result<Info, ReadError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async { Ok((self.flaw.info)(self, self.inner.info().await?)) })
    }

    fn capabilities(&self) -> Capabilities {
        let capabilities = self.inner.capabilities();
        Capabilities { limits: (self.flaw.limits)(capabilities.limits), ..capabilities }
    }
}

/// The broken store under test.
pub(crate) struct BrokenBackend(pub(crate) &'static Flaw);

#[async_trait]
impl Backend for BrokenBackend {
    fn name(&self) -> &'static str {
        self.0.name
    }

    async fn create(&self) -> Box<dyn Home> {
        Box::new(BrokenHome { flaw: self.0, store: OnceLock::new() })
    }

    /// The model answers at once, so what has not come soon does not come.
    fn patience(&self) -> Duration {
        if self.0.name == SOUND.name { Duration::from_secs(20) } else { Duration::from_millis(500) }
    }
}

struct BrokenHome {
    flaw: &'static Flaw,
    store: OnceLock<Broken>,
}

impl BrokenHome {
    fn opened(&self) -> &Broken {
        self.store.get().expect("the store was opened before")
    }
}

#[async_trait]
impl Home for BrokenHome {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(self.store.get_or_init(|| Broken::new(self.flaw, clock)).clone())
    }

    async fn reopen(&self, store: Arc<dyn EventStore>, _: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        drop(store);
        Arc::new((self.flaw.reopen)(self.opened()))
    }

    async fn second(&self) -> Arc<dyn EventStore> {
        Arc::new((self.flaw.second)(self.opened()))
    }
}
