//! The loop that takes answers and finds who asked.

use std::{future::Future, sync::Arc};

use mainspring_broker::{BrokerError, Deliveries, Group, Limit, Next, Outcome, Settler};
use tokio::time::{Duration, Instant};

use super::Inner;
use crate::RunError;

/// How many answers are taken at once.
const AT_ONCE: usize = 1_000;

/// How long leaving may take.
const GRACE: Duration = Duration::from_secs(1);

/// The answers to the requests of one [`Requester`](super::Requester). Run it.
#[must_use = "no answer arrives until it is run"]
pub struct Replies {
    inner: Arc<Inner>,
    group: Group,
    deliveries: Box<dyn Deliveries>,
    settler: Arc<dyn Settler>,
}

impl Replies {
    pub(super) fn new(
        inner: Arc<Inner>,
        group: Group,
        deliveries: Box<dyn Deliveries>,
        settler: Arc<dyn Settler>,
    ) -> Self {
        Self { inner, group, deliveries, settler }
    }

    /// Takes answers until `stop` completes. Requests that wait then are told that no answer comes.
    ///
    /// # Errors
    /// [`RunError`] when the broker delivers nothing any more.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let taken = tokio::select! {
            biased;
            () = stop => Ok(()),
            error = self.take() => Err(error),
        };
        self.inner.close();
        let deadline = (Instant::now() + GRACE).into_std();
        if let Err(error) = self.settler.close(deadline).await
            && taken.is_ok()
        {
            tracing::warn!(group = %self.group, %error, "the broker may not have heard that a requester left");
        }
        taken
    }

    async fn take(&mut self) -> RunError {
        let failed = |source| RunError::Broker { group: self.group.clone(), source };
        loop {
            let batch = match self.deliveries.next(Limit::messages(AT_ONCE)).await {
                Ok(Next::Batch(batch)) => batch,
                Ok(Next::Revoking(handover)) => {
                    handover.complete();
                    continue;
                }
                Ok(Next::Closed) => return failed(BrokerError::Closed),
                Ok(_) => continue,
                Err(source) => return failed(source),
            };
            let tags = batch.iter().map(|delivery| (delivery.tag, Outcome::Ack)).collect();
            for delivery in batch {
                self.inner.answered(delivery);
            }
            // An answer that comes again because this failed is late.
            let _ = self.settler.settle(tags).await;
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.inner.close();
    }
}
