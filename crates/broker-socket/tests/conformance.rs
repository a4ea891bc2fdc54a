//! Brokers behind a socket, under the laws of the contract: the reference model, and the embedded broker, which is what
//! other processes work with.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use mainspring_broker::{Broker, MemoryBroker};
use mainspring_broker_embedded::{EmbeddedBroker, Options};
use mainspring_broker_socket::{Server, SocketBroker};
use mainspring_conformance::broker::{Backend, Home, Member};
use mainspring_store::{Clock, MemoryStore, Store};
use tempfile::TempDir;
use tokio::{task, time};

/// Longer than anything takes unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(10);

/// A kind of broker behind a socket.
struct Socket {
    name: &'static str,
    create: fn() -> Kind,
}

/// One broker after the other behind one socket.
struct Served {
    directory: TempDir,
    kind: Kind,
    behind: Mutex<Option<(Life, Server)>>,
}

/// What outlives a broker.
enum Kind {
    Memory,
    Embedded(Store),
}

/// One life of a broker.
enum Life {
    Memory(MemoryBroker),
    Embedded(Arc<EmbeddedBroker>),
}

#[async_trait]
impl Backend for Socket {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn create(&self) -> Box<dyn Home> {
        let directory = TempDir::new().expect("a temporary directory can be created");
        Box::new(Served { directory, kind: (self.create)(), behind: Mutex::default() })
    }
}

impl Served {
    fn path(&self) -> PathBuf {
        self.directory.path().join("broker.sock")
    }

    /// Serves a broker, and connects to it.
    async fn serve(&self, life: Life) -> Arc<dyn Broker> {
        let server = Server::serve(life.broker(), self.path()).await.expect("nobody serves there");
        *self.behind.lock().unwrap_or_else(PoisonError::into_inner) = Some((life, server));
        Arc::new(SocketBroker::connect(self.path()).await.expect("somebody serves there"))
    }

    /// The next life after this one, or the first.
    async fn born(&self, before: Option<Life>, clock: Arc<dyn Clock>) -> Life {
        match (&self.kind, before) {
            (Kind::Memory, Some(Life::Memory(before))) => Life::Memory(before.restart()),
            (Kind::Memory, _) => Life::Memory(MemoryBroker::with_clock(clock)),
            (Kind::Embedded(store), before) => {
                // It takes the place of the one before, to which nobody says anything.
                let options = Options::new().clock(clock, Duration::from_millis(1));
                let next = options.open(store.clone()).await.expect("the store can be read");
                drop(before);
                Life::Embedded(Arc::new(next))
            }
        }
    }
}

impl Life {
    fn broker(&self) -> Arc<dyn Broker> {
        match self {
            Self::Memory(broker) => Arc::new(broker.clone()),
            Self::Embedded(broker) => broker.clone(),
        }
    }
}

/// How many members a broker has.
async fn members(broker: &dyn Broker) -> usize {
    let groups = broker.admin().expect("these brokers answer operators").groups().await;
    groups.map_or(0, |groups| groups.iter().map(|group| group.members).sum())
}

#[async_trait]
impl Home for Served {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        self.serve(self.born(None, clock).await).await
    }

    /// Cuts the connection of the member, and waits until its broker has noticed: a clock that is set does not wait for it.
    async fn crash(&self, member: Member) {
        let behind = {
            let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
            behind.as_ref().expect("it was opened before").0.broker()
        };
        let before = members(&*behind).await;
        drop(member);
        let noticed = async {
            while members(&*behind).await >= before {
                task::yield_now().await;
            }
        };
        time::timeout(PATIENCE, noticed).await.expect("a broker notices that a member is gone");
    }

    /// The server is cut off in the middle, and the broker is killed behind it.
    async fn reopen(&self, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        let behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (before, server) = behind.expect("it was opened before");
        let next = self.born(Some(before), clock).await;
        drop(server);
        let connected = self.serve(next).await;
        drop(broker);
        connected
    }
}

mod memory {
    use super::{Kind, Socket};

    pub(super) fn socket() -> Socket {
        Socket { name: "in memory, behind a socket", create: || Kind::Memory }
    }

    mainspring_conformance::broker_laws!(socket);
}

mod embedded {
    use super::{Kind, MemoryStore, Socket, Store};

    pub(super) fn socket() -> Socket {
        Socket { name: "embedded, behind a socket", create: || Kind::Embedded(Store::new(MemoryStore::new())) }
    }

    mainspring_conformance::broker_laws!(socket);
}
