//! The broker of an application: one for the store, opened when it is first asked for, and closed after everything that
//! uses it has ended.

use std::{sync::Arc, time::Instant};

use mainspring_broker::{Broker, BrokerError};
use mainspring_broker_embedded::EmbeddedBroker;
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
    /// for the first time, which writes to the store; from then on an older broker on the same store is refused.
    ///
    /// # Errors
    /// [`MessagingError::Open`].
    pub async fn broker(&mut self) -> Result<&Arc<dyn Broker>, MessagingError> {
        let broker = match self.broker.take() {
            Some(broker) => broker,
            None => {
                let opened = EmbeddedBroker::open(self.store.clone()).await;
                Arc::new(opened.map_err(MessagingError::Open)?)
            }
        };
        Ok(self.broker.insert(broker))
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

/// Closes the broker, if there is one.
pub(super) async fn close(broker: Option<Arc<dyn Broker>>) -> Result<(), RunError> {
    match broker {
        Some(broker) => broker.close(Instant::now() + BROKER_PATIENCE).await.map_err(RunError::Broker),
        None => Ok(()),
    }
}
