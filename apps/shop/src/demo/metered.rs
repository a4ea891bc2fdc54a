//! The store as the commands see it, with the time that they wait for their appends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mainspring::{
    Store,
    store::{Append, AppendError, Appended, BatchStream, Capabilities, EventStore, Info, Read, ReadError},
};

/// How long callers have waited for appends, all of them added up.
#[derive(Clone, Debug, Default)]
pub(super) struct Appending(Arc<AtomicU64>);

/// A store whose appends are timed.
struct Metered {
    store: Store,
    appending: Appending,
}

impl Appending {
    /// The same store, whose appends are added up here.
    pub(super) fn watch(&self, store: &Store) -> Store {
        Store::new(Metered { store: store.clone(), appending: self.clone() })
    }

    /// All of them together.
    pub(super) fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

// The methods are written out as `async_trait` would write them, which this crate has no other use for.
impl EventStore for Metered {
    fn append<'a, 'b>(&'a self, append: Append) -> Boxed<'b, Result<Appended, AppendError>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            let begun = Instant::now();
            let appended = self.store.append(append).await;
            let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.appending.0.fetch_add(nanos, Ordering::Relaxed);
            appended
        })
    }

    fn read(&self, read: Read) -> BatchStream {
        self.store.read(read)
    }

    fn info<'a, 'b>(&'a self) -> Boxed<'b, Result<Info, ReadError>>
    where
        'a: 'b,
        Self: 'b,
    {
        self.store.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

type Boxed<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
