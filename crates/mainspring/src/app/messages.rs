//! The broker of an application: one for the store, opened when it is first asked for, and closed after everything that
//! uses it has ended.

use std::{path::Path, sync::Arc, time::Instant};

use mainspring_broker::{Broker, BrokerError};
use mainspring_broker_embedded::EmbeddedBroker;
#[cfg(all(unix, feature = "disk"))]
use mainspring_broker_socket::{SOCKET, Server};
use mainspring_messaging::{Controls, Publisher, Requester, StartError, Subscriptions};

use super::{App, BROKER_PATIENCE, RunError};

/// Why an application cannot use messages. Nothing was handled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessagingError {
    /// The broker of the store cannot be opened.
    #[error("the broker of the store cannot be opened")]
    Open(#[source] BrokerError),
    /// The subscriptions cannot start, or there can be no place for answers.
    #[error(transparent)]
    Start(#[from] StartError),
}

impl App {
    /// The broker whose topics, groups, schedules and dead letters are events of the store. It is opened when it is asked
    /// for the first time, which writes to the store; from then on an older broker on the same store is refused. That of a
    /// directory is served to other processes of the same user, at `broker.sock` in it, so that operators can work with it.
    ///
    /// # Errors
    /// [`MessagingError::Open`].
    pub async fn broker(&mut self) -> Result<&Arc<dyn Broker>, MessagingError> {
        let opened = match self.broker.take() {
            Some(opened) => opened,
            None => {
                let broker = EmbeddedBroker::open(self.store.clone()).await.map_err(MessagingError::Open)?;
                Opened::serve(Arc::new(broker), self.directory.as_deref()).await
            }
        };
        Ok(&self.broker.insert(opened).broker)
    }

    /// Publishes on the broker. It is of use as long as the application runs.
    ///
    /// # Errors
    /// [`MessagingError::Open`].
    pub async fn publisher(&mut self) -> Result<Publisher, MessagingError> {
        Ok(Publisher::new(self.broker().await?.clone()))
    }

    /// Handles messages while the application runs. Topics and groups are created now, so what is published from now on
    /// is for these handlers. A subscription that ends stops the application, and its cause is the error.
    ///
    /// What it returns changes and measures the subscriptions while they run.
    ///
    /// # Errors
    /// [`MessagingError`] when the subscriptions cannot start.
    pub async fn subscribe<S>(&mut self, subscriptions: Subscriptions<S>) -> Result<Controls, MessagingError> {
        let publisher = self.publisher().await?;
        self.subscribe_with(subscriptions, publisher).await
    }

    /// The same, and handlers get this publisher, which may have a [claim check](Publisher::claims).
    ///
    /// # Errors
    /// [`MessagingError`] when the subscriptions cannot start.
    pub async fn subscribe_with<S>(
        &mut self,
        subscriptions: Subscriptions<S>,
        publisher: Publisher,
    ) -> Result<Controls, MessagingError> {
        let (controls, runner) = subscriptions.prepare_with(publisher).await?;
        let groups: Vec<_> = controls.metrics().into_iter().map(|metrics| metrics.group.to_string()).collect();
        self.task(&groups.join(", "), |stop| runner.run(stop.requested()));
        Ok(controls)
    }

    /// Asks handlers, and gets their answers while the application runs. `instance` is a name that no other process of the
    /// service has at the same time, and the same after a restart.
    ///
    /// # Errors
    /// [`MessagingError`] when there can be no place for answers.
    pub async fn requester(&mut self, service: &str, instance: &str) -> Result<Requester, MessagingError> {
        let publisher = self.publisher().await?;
        let (requester, replies) = Requester::connect_as(&publisher, service, instance).await?;
        self.task(&format!("{service}.replies"), |stop| replies.run(stop.requested()));
        Ok(requester)
    }
}

/// A broker that was opened, and the socket at which it is served.
pub(super) struct Opened {
    broker: Arc<dyn Broker>,
    #[cfg(all(unix, feature = "disk"))]
    server: Option<Server>,
}

impl Opened {
    #[cfg(all(unix, feature = "disk"))]
    async fn serve(broker: Arc<dyn Broker>, directory: Option<&Path>) -> Self {
        let Some(directory) = directory else { return Self { broker, server: None } };
        match Server::serve(broker.clone(), directory.join(SOCKET)).await {
            Ok(server) => Self { broker, server: Some(server) },
            Err(error) => {
                // Operators cannot look into it then; the application does its work all the same.
                tracing::warn!(%error, directory = %directory.display(), "other processes cannot reach the broker");
                Self { broker, server: None }
            }
        }
    }

    #[cfg(not(all(unix, feature = "disk")))]
    async fn serve(broker: Arc<dyn Broker>, _: Option<&Path>) -> Self {
        Self { broker }
    }
}

/// Closes the broker, if there is one: members of other processes are drained, too, before they are cut off.
pub(super) async fn close(opened: Option<Opened>) -> Result<(), RunError> {
    let Some(opened) = opened else { return Ok(()) };
    let closed = opened.broker.close(Instant::now() + BROKER_PATIENCE).await.map_err(RunError::Broker);
    #[cfg(all(unix, feature = "disk"))]
    if let Some(server) = opened.server
        && let Err(error) = server.stop().await
    {
        tracing::error!(%error, "the socket of the broker did not end in order");
    }
    closed
}
