//! The in-memory reference model as a backend: the first that has to pass.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use mainspring_broker::{Broker, MemoryBroker};
use mainspring_store::Clock;

use super::{Backend, Home};

/// [`MemoryBroker`] under test.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn create(&self) -> Box<dyn Home> {
        Box::new(MemoryHome::default())
    }
}

#[derive(Default)]
struct MemoryHome(OnceLock<MemoryBroker>);

#[async_trait]
impl Home for MemoryHome {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        Arc::new(self.0.get_or_init(|| MemoryBroker::with_clock(clock)).clone())
    }

    async fn reopen(&self, broker: Arc<dyn Broker>, _: Arc<dyn Clock>) -> Arc<dyn Broker> {
        drop(broker);
        Arc::new(self.0.get().expect("it was opened before").restart())
    }
}
