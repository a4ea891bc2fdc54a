//! Stores that misbehave, or pretend to be another.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, EventStore, Info, Lineage, MemoryStore, Read, ReadError,
    StoreId,
};

/// A store in memory whose identity and reads can be tampered with.
#[derive(Clone)]
pub(crate) struct Tampered {
    pub(crate) inner: MemoryStore,
    pub(crate) identity: Option<(StoreId, Lineage)>,
    /// So many reads fail after their first batch.
    pub(crate) failing_reads: Arc<AtomicU32>,
}

impl Tampered {
    pub(crate) fn new() -> Self {
        Self { inner: MemoryStore::new(), identity: None, failing_reads: Arc::default() }
    }

    /// The same identity in every process.
    pub(crate) fn known() -> Self {
        let uuid = uuid::Uuid::from_u128(7);
        Self { identity: Some((StoreId::from_uuid(uuid), Lineage::from_uuid(uuid))), ..Self::new() }
    }
}

#[async_trait]
impl EventStore for Tampered {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.inner.append(append).await
    }

    fn read(&self, read: Read) -> BatchStream {
        let batches = self.inner.read(read);
        let left = self.failing_reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Err(_) => batches,
            Ok(_) => {
                let broken = async { Err(ReadError::Failed("the line is cut".into())) };
                batches.take(1).chain(stream::once(broken)).boxed()
            }
        }
    }

    async fn info(&self) -> Result<Info, ReadError> {
        let info = self.inner.info().await?;
        Ok(self.identity.map_or(info, |(store, lineage)| Info { store, lineage, ..info }))
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
