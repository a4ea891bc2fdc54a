//! The embedded broker under the laws of the contract, on both stores.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mainspring_broker::Broker;
use mainspring_broker_embedded::{EmbeddedBroker, Options};
use mainspring_conformance::broker::{Backend, Home};
use mainspring_store::{Clock, MemoryStore, Store};
use mainspring_store_disk::DiskStore;
use tempfile::TempDir;

/// The broker on a store of one kind.
struct Embedded {
    name: &'static str,
    create: fn() -> OnStore,
}

/// One broker after the other on one store.
struct OnStore {
    store: Store,
    /// Lives as long as the store.
    _directory: Option<TempDir>,
}

#[async_trait]
impl Backend for Embedded {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn create(&self) -> Box<dyn Home> {
        Box::new((self.create)())
    }
}

impl OnStore {
    async fn broker(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        let options = Options::new().clock(clock, Duration::from_millis(1));
        let broker: EmbeddedBroker = options.open(self.store.clone()).await.expect("the store can be read");
        Arc::new(broker)
    }
}

#[async_trait]
impl Home for OnStore {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        self.broker(clock).await
    }

    /// The next broker takes the place of this one, as it does when the first was killed: nobody has told it anything.
    async fn reopen(&self, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        let next = self.broker(clock).await;
        drop(broker);
        next
    }
}

mod memory {
    use super::{Embedded, MemoryStore, OnStore, Store};

    pub(super) fn embedded() -> Embedded {
        let create = || OnStore { store: Store::new(MemoryStore::new()), _directory: None };
        Embedded { name: "embedded, in memory", create }
    }

    mainspring_conformance::broker_laws!(embedded);
}

mod disk {
    use super::{DiskStore, Embedded, OnStore, Store, TempDir};

    pub(super) fn embedded() -> Embedded {
        let create = || {
            let directory = TempDir::new().expect("a temporary directory can be created");
            let store = DiskStore::open(directory.path()).expect("an empty directory can be opened");
            OnStore { store: Store::new(store), _directory: Some(directory) }
        };
        Embedded { name: "embedded, on disk", create }
    }

    mainspring_conformance::broker_laws!(embedded);
}
