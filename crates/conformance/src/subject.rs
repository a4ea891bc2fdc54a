//! One store under test, with what most laws do to it.

use std::{fmt::Debug, ops::Deref, sync::Arc, time::Duration};

use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_event::{NewEvent, Position, StoredEvent, StreamName, Version};
use mainspring_store::{
    Append, AppendError, Appended, Clock, Conflict, EventBatch, EventStore, Query, Read, ReadError, SystemClock,
};
use tokio::time;

use crate::{Backend, Home, ManualClock, follower::Follower};

/// A store under test. Its methods panic where the store does what no law allows.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn EventStore>,
    home: Box<dyn Home>,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

impl Deref for Subject {
    type Target = dyn EventStore;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl Subject {
    /// A fresh store with the system's clock.
    pub(crate) async fn open(backend: &dyn Backend) -> Self {
        Self::open_with(backend, Arc::new(SystemClock)).await
    }

    /// A fresh store with a clock that the law moves; it begins at 2001-09-09T01:46:40Z.
    pub(crate) async fn open_with_clock(backend: &dyn Backend) -> (Self, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_000_000_000).expect("a time of this era")));
        (Self::open_with(backend, clock.clone()).await, clock)
    }

    async fn open_with(backend: &dyn Backend, clock: Arc<dyn Clock>) -> Self {
        let home = backend.create().await;
        let store = home.open(clock.clone()).await;
        Self { store, home, clock, patience: backend.patience() }
    }

    /// The second life of the same store.
    pub(crate) async fn reopen(self) -> Self {
        let Self { store, home, clock, patience } = self;
        let store = home.reopen(store, clock.clone()).await;
        Self { store, home, clock, patience }
    }

    /// Another handle on the same store.
    pub(crate) async fn second(&self) -> Arc<dyn EventStore> {
        self.home.second().await
    }

    /// Appends without conditions.
    pub(crate) async fn write(&self, events: impl IntoIterator<Item = NewEvent>) -> Appended {
        self.taken(Append::new(events)).await
    }

    /// Appends what must be taken.
    pub(crate) async fn taken(&self, append: Append) -> Appended {
        let answer = time::timeout(self.patience, self.append(append)).await;
        answer.expect("an append is answered").expect("nothing stands against this append")
    }

    /// Appends what must be refused, and sees that the refusal left no trace.
    pub(crate) async fn refused(&self, append: Append) -> AppendError {
        let before = self.head().await;
        let answer = time::timeout(self.patience, self.append(append)).await;
        let error = answer.expect("an append is answered").expect_err("this append must be refused");
        assert_eq!(self.head().await, before, "a refused append ({error}) must not write anything");
        error
    }

    /// Appends what must conflict.
    pub(crate) async fn conflict(&self, append: Append) -> Conflict {
        match self.refused(append).await {
            AppendError::Conflict(conflict) => conflict,
            other => panic!("a check does not hold, so the answer is a conflict, not {other:?}"),
        }
    }

    /// The batches of a finite read that must succeed.
    pub(crate) async fn batches(&self, read: Read) -> Vec<EventBatch> {
        assert!(!read.follow, "a follower never ends");
        let described = format!("{read:?}");
        let mut stream = self.read(read);
        let mut batches = Vec::new();
        while let Some(next) = self.within(stream.next(), &described).await {
            batches.push(next.unwrap_or_else(|error| panic!("{described} failed: {error:?}")));
        }
        batches
    }

    /// The events of a finite read that must succeed.
    pub(crate) async fn events(&self, read: Read) -> Vec<StoredEvent> {
        self.batches(read).await.iter().flat_map(stored).collect()
    }

    /// The events that a query selects, from old to new.
    pub(crate) async fn matches(&self, query: Query) -> Vec<StoredEvent> {
        self.events(Read::new(query)).await
    }

    /// Everything but internal events, from old to new.
    pub(crate) async fn all(&self) -> Vec<StoredEvent> {
        self.matches(Query::All).await
    }

    /// The events of one stream.
    pub(crate) async fn stream(&self, name: &str) -> Vec<StoredEvent> {
        self.matches(crate::sample::in_streams(&[name])).await
    }

    /// A read that must fail, and then end.
    pub(crate) async fn unreadable(&self, read: Read) -> ReadError {
        let described = format!("{read:?}");
        let mut stream = self.read(read);
        loop {
            match self.within(stream.next(), &described).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let after = self.within(stream.next(), "the end after an error").await;
                    assert!(after.is_none(), "a read ends after an error");
                    return error;
                }
                None => panic!("{described} must fail, but it ended"),
            }
        }
    }

    /// Begins to follow; nothing is read before the first poll.
    pub(crate) fn follow(&self, read: Read) -> Follower {
        Follower::new(self.read(read.follow()), self.patience)
    }

    /// Position of the newest event.
    pub(crate) async fn head(&self) -> Position {
        self.info().await.expect("an open store can say how far it has come").head
    }

    /// Waits no longer than the backend's patience.
    pub(crate) async fn within<T>(&self, future: impl Future<Output = T>, what: impl Debug) -> T {
        let waited = time::timeout(self.patience, future).await;
        waited.unwrap_or_else(|_| panic!("{what:?} did not come within {:?}", self.patience))
    }
}

/// The events of a finite read of any handle, which must succeed.
pub(crate) async fn collect(store: &dyn EventStore, read: Read) -> Vec<StoredEvent> {
    let batches: Vec<_> = store.read(read).collect().await;
    batches.iter().flat_map(|batch| stored(batch.as_ref().expect("the read succeeds"))).collect()
}

/// Owned copies of a batch's events.
pub(crate) fn stored(batch: &EventBatch) -> Vec<StoredEvent> {
    batch.iter().map(|event| event.to_stored().expect("a store returns names that could be appended")).collect()
}

/// The stream, version and position of an event in short.
pub(crate) fn place(event: &StoredEvent) -> (StreamName, Version, Position) {
    (event.event.stream.clone(), event.version, event.position)
}
