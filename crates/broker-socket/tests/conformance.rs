//! The reference model behind a socket, under the laws of the contract.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use mainspring_broker::{Broker, MemoryBroker};
use mainspring_broker_socket::{Server, SocketBroker};
use mainspring_conformance::broker::{Backend, Home};
use mainspring_store::Clock;
use tempfile::TempDir;

struct Socket;

/// One broker after the other behind one socket.
struct Served {
    directory: TempDir,
    behind: Mutex<Option<(MemoryBroker, Server)>>,
}

#[async_trait]
impl Backend for Socket {
    fn name(&self) -> &'static str {
        "in memory, behind a socket"
    }

    async fn create(&self) -> Box<dyn Home> {
        let directory = TempDir::new().expect("a temporary directory can be created");
        Box::new(Served { directory, behind: Mutex::default() })
    }
}

impl Served {
    fn path(&self) -> PathBuf {
        self.directory.path().join("broker.sock")
    }

    fn behind(&self) -> Option<(MemoryBroker, Server)> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn serve(&self, broker: MemoryBroker) -> Arc<dyn Broker> {
        let server = Server::serve(Arc::new(broker.clone()), self.path()).await.expect("nobody serves there");
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some((broker, server));
        Arc::new(SocketBroker::connect(self.path()).await.expect("somebody serves there"))
    }
}

#[async_trait]
impl Home for Served {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        self.serve(MemoryBroker::with_clock(clock)).await
    }

    /// The server is cut off in the middle, and the broker is killed behind it.
    async fn reopen(&self, broker: Arc<dyn Broker>, _: Arc<dyn Clock>) -> Arc<dyn Broker> {
        let (behind, server) = self.behind().expect("it was opened before");
        let next = behind.restart();
        drop(server);
        let connected = self.serve(next).await;
        drop(broker);
        connected
    }
}

fn socket() -> Socket {
    Socket
}

mainspring_conformance::broker_laws!(socket);
