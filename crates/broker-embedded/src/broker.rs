//! The broker itself.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    Admin, Broker, BrokerError, Capabilities, Confirmations, Deliveries, Destination, Drift, Durability, Ensure,
    Limits, Message, SendError, Settler, SubscriptionSpec, Topology,
};
use mainspring_store::{Clock, Store, SystemClock};

use crate::{
    creating,
    group::member::Member,
    journal, keeper,
    member::Membership,
    opening, sending,
    shared::{Life, Shared},
    state::State,
};

/// A broker whose topics, groups, schedules and dead letters are events of a store. Cloning shares it.
///
/// One broker at a time works on a store: opening another takes its place, and whatever the first one still writes is
/// refused. When the last handle and the last member are gone, it ends as by a crash; [`Broker::close`] ends it well.
#[derive(Clone)]
pub struct EmbeddedBroker {
    life: Arc<Life>,
}

/// How a broker is opened.
#[derive(Clone)]
pub struct Options {
    clock: Arc<dyn Clock>,
    look: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), look: Duration::from_secs(1) }
    }
}

impl Options {
    /// The clock of the machine.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes its time from `clock`, and looks at it at least as often as this: a clock that is set tells nobody.
    pub fn clock(mut self, clock: Arc<dyn Clock>, look: Duration) -> Self {
        (self.clock, self.look) = (clock, look);
        self
    }

    /// Opens the broker of a store; there is one in every store.
    ///
    /// # Errors
    /// [`BrokerError::Failed`] when the store cannot be read or written, or holds what no broker of this version wrote.
    ///
    /// # Cancel safety
    /// Dropping the future may have taken the place of a broker that worked before, and changes nothing else.
    pub async fn open(self, store: impl Into<Store>) -> Result<EmbeddedBroker, BrokerError> {
        let store = store.into();
        let durability = if store.capabilities().durable { Durability::Synced } else { Durability::Memory };
        let capabilities = Capabilities {
            emulated: Vec::new(),
            refused: Vec::new(),
            durability,
            gapless: true,
            limits: Limits { batch_bytes: 8 << 20, ..Limits::default() },
        };
        let mut state = State::new(capabilities);
        opening::open(&store, &mut state, self.clock.now()).await?;
        let shared = Arc::new(Shared::new(store, self.clock, self.look, state));
        spawn(&shared, journal::write(shared.clone()));
        spawn(&shared, keeper::watch(shared.clone()));
        Ok(EmbeddedBroker { life: Arc::new(Life(shared)) })
    }
}

/// Runs a task of the broker. However it ends, the broker ends with it, and says so to everybody.
fn spawn(shared: &Arc<Shared>, task: impl Future<Output = ()> + Send + 'static) {
    let life = Life(shared.clone());
    let task = tokio::spawn(async move {
        task.await;
        drop(life);
    });
    shared.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(task);
}

impl EmbeddedBroker {
    /// Opens the broker of a store with the clock of the machine.
    ///
    /// # Errors
    /// As [`Options::open`].
    ///
    /// # Cancel safety
    /// As [`Options::open`].
    pub async fn open(store: impl Into<Store>) -> Result<Self, BrokerError> {
        Options::new().open(store).await
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.life.0
    }
}

#[async_trait]
impl Broker for EmbeddedBroker {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        creating::ensure(self.shared(), topology, mode).await
    }

    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        self.shared().open(|state| {
            let known = state.topic_of.contains_key(of);
            if known { Ok(state.capabilities.clone()) } else { Err(BrokerError::NoTopic(of.clone())) }
        })?
    }

    async fn send(&self, batch: Vec<Message>) -> Result<Confirmations, SendError> {
        let limits = self.shared().lock().capabilities.limits;
        limits.check(&batch)?;
        sending::send(self.shared(), batch).await
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        let (group, member, wake) = self.shared().open(|state| state.join(spec))??;
        let (deliveries, settler) = Membership { life: self.life.clone(), group, member, wake }.split();
        Ok((Box::new(deliveries), Arc::new(settler)))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        Some(self)
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        let shared = self.shared();
        shared.change(State::begin_to_end);
        shared.until(deadline, |state| state.ended || !state.is_in_flight()).await;
        shared.change(State::end_members);
        let unwritten = shared.until(deadline, |state| state.ended || state.is_written());
        unwritten.await;
        let lost = shared.change(|state| {
            let lost = !state.ended && !state.is_written();
            state.ended = true;
            state.wake_everybody();
            lost
        });
        let tasks = std::mem::take(&mut *shared.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        for task in tasks {
            task.await.map_err(|error| BrokerError::Failed(error.into()))?;
        }
        if lost { Err(BrokerError::Failed("what was not written at the deadline may be lost".into())) } else { Ok(()) }
    }
}

impl State {
    fn join(&mut self, spec: SubscriptionSpec) -> Result<(usize, u64, Arc<tokio::sync::Notify>), BrokerError> {
        let limit = self.capabilities.limits.lease;
        let invalid = |reason: String| Err(BrokerError::Invalid { reason });
        if spec.prefetch.messages == 0 {
            return invalid("a member that holds no message can never get one".to_owned());
        }
        if spec.lease.is_zero() || spec.lease > limit {
            return invalid(format!("a lease of {:?} is not between 0 and {limit:?}", spec.lease));
        }
        let group = self.group(&spec.group)?;
        let id = self.count();
        let member = Member::new(spec);
        let wake = member.wake.clone();
        let now = self.now;
        self.groups[group].join(id, member, now);
        Ok((group, id, wake))
    }

    fn begin_to_end(&mut self) {
        self.closing = true;
        for group in 0..self.groups.len() {
            let members: Vec<_> = self.groups[group].members.keys().copied().collect();
            members.into_iter().for_each(|member| self.begin_to_close(group, member));
        }
    }

    fn is_in_flight(&self) -> bool {
        self.groups.iter().any(|group| group.is_in_flight())
    }

    fn end_members(&mut self) {
        for group in 0..self.groups.len() {
            let members: Vec<_> = self.groups[group].members.keys().copied().collect();
            members.into_iter().for_each(|member| self.leave(group, member));
        }
    }

    fn is_written(&self) -> bool {
        self.queue.is_empty() && self.sends.is_empty() && self.airborne == 0
    }
}
