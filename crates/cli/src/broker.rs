//! The broker of a data directory: reached in one place, so that no command knows how.

pub(crate) mod line;
pub(crate) mod words;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use mainspring::{
    Store,
    disk::{DiskStore, OpenError},
};
use mainspring_broker::{Admin, Broker, BrokerError, Destination, SendError};
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_broker_socket::{SOCKET, Server, SocketBroker};

use crate::{message, open};

/// How long the broker may take to end, when nothing of the command is under way any more.
const PATIENCE: Duration = Duration::from_secs(5);

/// What to do where there is no store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Make one.
    Create,
    /// Say so.
    Refuse,
}

/// Works with the broker of a directory, and sees that it ends well however the work ends. Meanwhile other processes can
/// work with it, too.
pub(crate) async fn with<T>(
    directory: &Path,
    missing: Missing,
    work: impl AsyncFnOnce(Arc<dyn Broker>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let (broker, own) = connect(directory, missing).await?;
    let worked = work(broker.clone()).await;
    let closed = broker.close(Instant::now() + PATIENCE).await.context("the broker cannot be closed cleanly");
    drop(broker);
    let closed = match own {
        Some(own) => own.close().await.and(closed),
        None => closed,
    };
    let worked = worked?;
    closed?;
    Ok(worked)
}

/// What is behind a broker of this program's own.
struct Own {
    store: DiskStore,
    server: Option<Server>,
}

impl Own {
    /// Ends it, when its broker is closed.
    async fn close(self) -> anyhow::Result<()> {
        if let Some(server) = self.server {
            server.stop().await.context("the socket of the broker did not end in order")?;
        }
        self.store.close().context("the store cannot be closed cleanly")
    }
}

/// The broker of a directory, and what is behind it where it is this program's own: a process that holds the directory may
/// serve the broker in it.
async fn connect(directory: &Path, missing: Missing) -> anyhow::Result<(Arc<dyn Broker>, Option<Own>)> {
    if missing == Missing::Refuse {
        // Reading creates nothing, and says so where there is nothing.
        drop(DiskStore::open_read_only(directory).map_err(|error| unopened(directory, error))?);
    }
    let socket = directory.join(SOCKET);
    let store = match DiskStore::open(directory) {
        Ok(store) => store,
        Err(OpenError::Locked { holder, .. }) if socket.exists() => {
            let broker = SocketBroker::connect(socket).await;
            let broker = broker.with_context(|| format!("{holder} has the directory {}", directory.display()))?;
            return Ok((Arc::new(broker), None));
        }
        Err(error) => return Err(unopened(directory, error)),
    };
    let broker = EmbeddedBroker::open(Store::new(store.clone())).await;
    let broker = broker.with_context(|| format!("the broker in {} cannot be opened", directory.display()))?;
    let broker: Arc<dyn Broker> = Arc::new(broker);
    let server = match Server::serve(broker.clone(), socket).await {
        Ok(server) => Some(server),
        Err(error) => {
            message::warning(&format!("other processes cannot reach the broker: {error}"));
            None
        }
    };
    Ok((broker, Some(Own { store, server })))
}

fn unopened(directory: &Path, error: OpenError) -> anyhow::Error {
    let shown = directory.display();
    match error {
        OpenError::Missing { .. } => {
            anyhow!("there is no broker in {shown}: check `--data`, or make one with `mainspring topics create`")
        }
        OpenError::Locked { holder, .. } => {
            anyhow!("{holder} has the directory {shown}, and the broker in it: stop it first")
        }
        error => open::explained(directory, error),
    }
}

/// What operators may ask of a broker.
pub(crate) fn admin(broker: &dyn Broker) -> anyhow::Result<&dyn Admin> {
    broker.admin().ok_or_else(|| anyhow!("this broker cannot be asked that"))
}

/// The error in the words of this program.
pub(crate) fn explained(error: BrokerError) -> anyhow::Error {
    match error {
        BrokerError::NoTopic(topic) => no_topic(&topic),
        BrokerError::NoGroup(group) => anyhow!(
            "there is no group `{group}`: `mainspring subscriptions` lists the groups, `mainspring subscriptions create \
             {group} --from TOPIC` makes it"
        ),
        BrokerError::Invalid { reason } => anyhow!("{reason}"),
        BrokerError::NotSent(error) => unsent(error),
        error => error.into(),
    }
}

/// Why a message was not sent.
pub(crate) fn unsent(error: SendError) -> anyhow::Error {
    match error {
        SendError::Unroutable { destination, .. } => anyhow!(
            "no group gets such a message from `{destination}`: `mainspring subscriptions create` makes one that does"
        ),
        error => error.into(),
    }
}

/// Sees that there is a topic.
pub(crate) async fn expect_topic(broker: &dyn Broker, topic: &Destination) -> anyhow::Result<()> {
    broker.capabilities(topic).await.map(drop).map_err(explained)
}

fn no_topic(topic: &Destination) -> anyhow::Error {
    anyhow!(
        "there is no topic `{topic}`: `mainspring topics` lists the topics, `mainspring topics create {topic}` makes it"
    )
}
