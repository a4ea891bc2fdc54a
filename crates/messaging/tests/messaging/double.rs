//! The reference model of a broker, with settlements that fail or that are kept in an event store.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    Admin, Broker, BrokerError, Capabilities, CommitError, Confirmations, Deliveries, DeliveryTag, Destination, Drift,
    Ensure, InStore, Message, Outcome, Receipt, SendError, SettleError, Settler, Slice, Start, SubscriptionSpec,
    Topology,
};
use mainspring_store::{Append, Appended, Store};

use super::support::World;

/// Answers the next settlements with these errors instead of settling; then it is an ordinary broker. With a store, its
/// deliveries are settled there.
#[derive(Clone)]
pub(crate) struct Double {
    inner: Arc<dyn Broker>,
    errors: Arc<Mutex<Vec<SettleError>>>,
    store: Option<Store>,
    /// What the next commits answer after they have happened.
    lost: Arc<Mutex<u32>>,
    extended: Arc<AtomicU64>,
}

struct DoubleSettler {
    inner: Arc<dyn Settler>,
    double: Double,
}

impl Double {
    pub(crate) fn faulty(world: &World, errors: Vec<SettleError>) -> Arc<Self> {
        let errors = Arc::new(Mutex::new(errors));
        Arc::new(Self {
            inner: world.broker.clone(),
            errors,
            store: None,
            lost: Arc::default(),
            extended: Arc::default(),
        })
    }

    /// How often deliveries were extended.
    pub(crate) fn extended(&self) -> u64 {
        self.extended.load(Ordering::SeqCst)
    }

    /// With a store, whose next `lost` commits are not answered.
    pub(crate) fn with_store(world: &World, store: Store, lost: u32) -> Arc<Self> {
        let lost = Arc::new(Mutex::new(lost));
        Arc::new(Self {
            inner: world.broker.clone(),
            errors: Arc::default(),
            store: Some(store),
            lost,
            extended: Arc::default(),
        })
    }
}
#[async_trait]
impl Broker for Double {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        self.inner.ensure(topology, mode).await
    }

    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        self.inner.capabilities(of).await
    }

    async fn send(&self, batch: Vec<Message>) -> Result<Confirmations, SendError> {
        self.inner.send(batch).await
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        let (deliveries, inner) = self.inner.subscribe(spec).await?;
        Ok((deliveries, Arc::new(DoubleSettler { inner, double: self.clone() })))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        self.inner.admin()
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.inner.close(deadline).await
    }
}

#[async_trait]
impl Settler for DoubleSettler {
    async fn settle(&self, outcomes: Vec<(DeliveryTag, Outcome)>) -> Vec<Result<(), SettleError>> {
        let mut answers = Vec::new();
        for outcome in outcomes {
            let error = self.double.errors.lock().unwrap().pop();
            match error {
                Some(error) => answers.push(Err(error)),
                None => answers.extend(self.inner.settle(vec![outcome]).await),
            }
        }
        answers
    }

    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Vec<Result<(), SettleError>> {
        let answers = self.inner.extend(tags, by).await;
        self.double.extended.fetch_add(1, Ordering::SeqCst);
        answers
    }

    async fn commit(
        &self,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError> {
        self.inner.commit(outcomes, out).await
    }

    async fn seek(&self, to: Start) -> Result<(), BrokerError> {
        self.inner.seek(to).await
    }

    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError> {
        self.inner.pause(slices, paused).await
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.inner.close(deadline).await
    }

    fn in_store(&self) -> Option<&dyn InStore> {
        self.double.store.is_some().then_some(self)
    }
}

#[async_trait]
impl InStore for DoubleSettler {
    fn store(&self) -> Store {
        self.double.store.clone().unwrap()
    }

    async fn append(
        &self,
        append: Append,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<(Appended, Vec<Receipt>), CommitError> {
        for (tag, _) in &outcomes {
            let held = self.inner.extend(&[*tag], Duration::from_secs(30)).await.remove(0);
            held.map_err(|source| CommitError::Settle { tag: *tag, source })?;
        }
        let appended = match append.events.is_empty() {
            true => Appended { position: mainspring_event::Position::START, written: Vec::new() },
            false => self.store().append(append).await.map_err(CommitError::Append)?,
        };
        let receipts = self.inner.commit(outcomes, out).await?;
        let mut lost = self.double.lost.lock().unwrap();
        if *lost > 0 {
            *lost -= 1;
            return Err(CommitError::Unknown("the answer was lost".into()));
        }
        Ok((appended, receipts))
    }
}
