//! A member behind the network: its connection may be lost between any two calls, and it joins again by itself.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    Broker, BrokerError, CommitError, Deliveries, DeliveryTag, Limit, MemoryBroker, Message, Next, Outcome, Receipt,
    SettleError, Settler, Slice, Start, SubscriptionSpec,
};

use super::{Fate, Network};

/// What both halves of a member share: the connection that it has now.
pub(super) struct Line {
    broker: MemoryBroker,
    network: Arc<Network>,
    spec: SubscriptionSpec,
    settler: Mutex<Arc<dyn Settler>>,
}

pub(super) struct SimDeliveries {
    inner: Option<Box<dyn Deliveries>>,
    line: Arc<Line>,
}

pub(super) struct SimSettler(Arc<Line>);

impl Line {
    pub(super) async fn open(
        broker: MemoryBroker,
        network: Arc<Network>,
        spec: SubscriptionSpec,
    ) -> Result<(SimDeliveries, SimSettler), BrokerError> {
        let (deliveries, settler) = broker.subscribe(spec.clone()).await?;
        let line = Arc::new(Self { broker, network, spec, settler: Mutex::new(settler) });
        Ok((SimDeliveries { inner: Some(deliveries), line: line.clone() }, SimSettler(line)))
    }

    fn settler(&self) -> Arc<dyn Settler> {
        self.settler.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Deliveries for SimDeliveries {
    async fn next(&mut self, max: Limit) -> Result<Next, BrokerError> {
        let line = &self.line;
        if line.network.strikes(line.network.trouble.disconnect, |injected| &mut injected.disconnects) {
            self.inner = None;
        }
        if self.inner.is_none() {
            let (deliveries, settler) = line.broker.subscribe(line.spec.clone()).await?;
            // With the last handle on the old member, the member is gone.
            *line.settler.lock().unwrap_or_else(PoisonError::into_inner) = settler;
            self.inner = Some(deliveries);
        }
        match &mut self.inner {
            Some(deliveries) => deliveries.next(max).await,
            None => Err(BrokerError::Closed),
        }
    }
}

fn lost() -> SettleError {
    SettleError::Unknown("the connection was lost".into())
}

#[async_trait]
impl Settler for SimSettler {
    async fn settle(&self, outcomes: Vec<(DeliveryTag, Outcome)>) -> Vec<Result<(), SettleError>> {
        let count = outcomes.len();
        let fate = self.0.network.fate();
        if fate == Fate::RequestLost {
            return (0..count).map(|_| Err(lost())).collect();
        }
        let answers = self.0.settler().settle(outcomes).await;
        if fate == Fate::AnswerLost { answers.iter().map(|_| Err(lost())).collect() } else { answers }
    }

    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Vec<Result<(), SettleError>> {
        let fate = self.0.network.fate();
        if fate == Fate::RequestLost {
            return tags.iter().map(|_| Err(lost())).collect();
        }
        let answers = self.0.settler().extend(tags, by).await;
        if fate == Fate::AnswerLost { answers.iter().map(|_| Err(lost())).collect() } else { answers }
    }

    async fn commit(
        &self,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError> {
        let unknown = || CommitError::Unknown("the connection was lost".into());
        let fate = self.0.network.fate();
        if fate == Fate::RequestLost {
            return Err(unknown());
        }
        let answer = self.0.settler().commit(outcomes, out).await;
        if fate == Fate::AnswerLost { Err(unknown()) } else { answer }
    }

    async fn seek(&self, to: Start) -> Result<(), BrokerError> {
        self.0.settler().seek(to).await
    }

    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError> {
        self.0.settler().pause(slices, paused).await
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.0.settler().close(deadline).await
    }
}
