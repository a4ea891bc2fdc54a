//! The in-memory reference model as a backend: the first that has to pass.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use mainspring_store::{Clock, EventStore, MemoryStore};

use crate::{Backend, Capability, Home, OptOut};

/// [`MemoryStore`] under test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn opt_outs(&self) -> &'static [OptOut] {
        &[OptOut { lacks: Capability::Reopen, why: "it dies with the process" }]
    }

    async fn create(&self) -> Box<dyn Home> {
        Box::new(MemoryHome::default())
    }
}

#[derive(Default)]
struct MemoryHome(OnceLock<MemoryStore>);

#[async_trait]
impl Home for MemoryHome {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        Arc::new(self.0.get_or_init(|| MemoryStore::with_clock(clock)).clone())
    }

    async fn second(&self) -> Arc<dyn EventStore> {
        Arc::new(self.0.get().expect("a second handle follows a first one").clone())
    }
}
