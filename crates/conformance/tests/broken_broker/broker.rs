//! A broker that obeys the reference model but for one flaw.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use mainspring_broker::{
    Admin, Broker, BrokerError, Capabilities, CommitError, Confirmations, Deliveries, Delivery, DeliveryTag,
    Destination, Drift, Durability, Ensure, Group, GroupStatus, Limit, Limits, MemoryBroker, Message, Next, Outcome,
    Pending, Place, Receipt, Resume, ScheduleId, Scheduled, SendError, SettleError, Settler, Slice, Start,
    SubscriptionSpec, TopicStatus, Topology,
};
use mainspring_conformance::broker::{Backend, Home, Member};
use mainspring_store::Clock;

pub(crate) type Answers = Vec<Result<(), SettleError>>;
pub(crate) type Outcomes = Vec<(DeliveryTag, Outcome)>;
pub(crate) type Answer<'a, T> = BoxFuture<'a, Result<T, BrokerError>>;
pub(crate) type Sent<'a> = BoxFuture<'a, Result<Confirmations, SendError>>;
pub(crate) type Committed<'a> = BoxFuture<'a, Result<Vec<Receipt>, CommitError>>;

/// One way in which a broker is wrong.
pub(crate) struct Flaw {
    /// Completes "a broker that …".
    pub(crate) name: &'static str,
    /// The laws that must notice.
    pub(crate) caught_by: &'static [&'static str],
    /// What the model inside can do, and what the broker says that it can do.
    pub(crate) can: fn(Capabilities) -> Capabilities,
    pub(crate) says: fn(Capabilities) -> Capabilities,
    /// What it makes of a topology, of a message that is sent, of a member, and of a delivery.
    pub(crate) topology: fn(Topology) -> Topology,
    pub(crate) message: fn(&Broken, Message) -> Message,
    pub(crate) spec: fn(SubscriptionSpec) -> SubscriptionSpec,
    pub(crate) delivery: fn(&Broken, &Group, Delivery) -> Delivery,
    pub(crate) outcome: fn(Outcome) -> Outcome,
    /// How it does things.
    pub(crate) ensure: for<'a> fn(&'a Broken, Topology, Ensure) -> Answer<'a, Vec<Drift>>,
    pub(crate) send: for<'a> fn(&'a Broken, Vec<Message>) -> Sent<'a>,
    pub(crate) subscribe: for<'a> fn(&'a Broken, SubscriptionSpec) -> Answer<'a, Halves>,
    pub(crate) close: for<'a> fn(&'a Broken, Instant) -> Answer<'a, ()>,
    pub(crate) next: for<'a> fn(&'a mut Fetching, Limit) -> Answer<'a, Next>,
    pub(crate) dropped: fn(&mut Fetching),
    pub(crate) settle: for<'a> fn(&'a Settling, Outcomes) -> BoxFuture<'a, Answers>,
    pub(crate) extend: for<'a> fn(&'a Settling, &'a [DeliveryTag], Duration) -> BoxFuture<'a, Answers>,
    pub(crate) commit: for<'a> fn(&'a Settling, Outcomes, Vec<Message>) -> Committed<'a>,
    pub(crate) seek: for<'a> fn(&'a Settling, Start) -> Answer<'a, ()>,
    pub(crate) pause: for<'a> fn(&'a Settling, &'a [Slice], bool) -> Answer<'a, ()>,
    pub(crate) leave: for<'a> fn(&'a Settling, Instant) -> Answer<'a, ()>,
    /// What operators are told, and what it does for them.
    pub(crate) topics: fn(Vec<TopicStatus>) -> Vec<TopicStatus>,
    pub(crate) groups: fn(Vec<GroupStatus>) -> Vec<GroupStatus>,
    pub(crate) browse: for<'a> fn(&'a Broken, &'a Group, usize) -> Answer<'a, Vec<Pending>>,
    pub(crate) find: for<'a> fn(&'a Broken, &'a Group, &'a Place) -> Answer<'a, Option<Pending>>,
    pub(crate) purge: for<'a> fn(&'a Broken, &'a Group) -> Answer<'a, u64>,
    pub(crate) remove: for<'a> fn(&'a Broken, &'a Group, &'a [Place]) -> Answer<'a, u64>,
    pub(crate) resubmit: for<'a> fn(&'a Broken, &'a Group, &'a Place, Message) -> Answer<'a, Receipt>,
    pub(crate) schedules: fn(Vec<Scheduled>) -> Vec<Scheduled>,
    pub(crate) cancel: for<'a> fn(&'a Broken, &'a ScheduleId) -> Answer<'a, bool>,
    pub(crate) resume: for<'a> fn(&'a Broken, &'a Group, &'a [u8], Resume) -> Answer<'a, u64>,
    /// What happens when a member, or the broker, is killed.
    pub(crate) crash: fn(&Broken, Member),
    pub(crate) reopen: fn(&Broken) -> Broken,
}

/// Both halves of a member of the model.
pub(crate) type Halves = (Box<dyn Deliveries>, Arc<dyn Settler>);

/// No flaw at all.
pub(crate) const SOUND: Flaw = Flaw {
    name: "is sound",
    caught_by: &[],
    can: |capabilities| capabilities,
    says: |capabilities| capabilities,
    topology: |topology| topology,
    message: |_, message| message,
    spec: |spec| spec,
    delivery: |_, _, delivery| delivery,
    outcome: |outcome| outcome,
    ensure: |broker, topology, mode| Box::pin(async move { broker.inner.ensure(&topology, mode).await }),
    send: |broker, batch| broker.inner.send(batch),
    subscribe: |broker, spec| broker.inner.subscribe(spec),
    close: |broker, deadline| broker.inner.close(deadline),
    next: |deliveries, max| deliveries.inner.next(max),
    dropped: |_| {},
    settle: |settler, outcomes| settler.inner.settle(outcomes),
    extend: |settler, tags, by| settler.inner.extend(tags, by),
    commit: |settler, outcomes, out| settler.inner.commit(outcomes, out),
    seek: |settler, to| settler.inner.seek(to),
    pause: |settler, slices, paused| settler.inner.pause(slices, paused),
    leave: |settler, deadline| settler.inner.close(deadline),
    topics: |topics| topics,
    groups: |groups| groups,
    browse: |broker, group, limit| Admin::browse(&broker.inner, group, limit),
    find: |broker, group, place| Admin::find(&broker.inner, group, place),
    purge: |broker, group| Admin::purge(&broker.inner, group),
    remove: |broker, group, places| Admin::remove(&broker.inner, group, places),
    resubmit: |broker, from, place, message| Admin::resubmit(&broker.inner, from, place, message),
    schedules: |schedules| schedules,
    cancel: |broker, id| Admin::cancel(&broker.inner, id),
    resume: |broker, group, key, how| Admin::resume(&broker.inner, group, key, how),
    crash: |_, member| drop(member),
    reopen: |broker| Broken { inner: broker.inner.restart(), ..broker.clone() },
};

/// The reference model with a flaw.
#[derive(Clone)]
pub(crate) struct Broken {
    pub(crate) inner: MemoryBroker,
    pub(crate) clock: Arc<dyn Clock>,
    memo: Arc<Mutex<Memo>>,
    pub(crate) flaw: &'static Flaw,
}

/// What flaws remember.
#[derive(Default)]
pub(crate) struct Memo {
    pub(crate) count: u64,
    pub(crate) topology: Topology,
    pub(crate) messages: Vec<Message>,
    pub(crate) attempts: HashMap<Vec<u8>, u32>,
    /// What every delivery was.
    pub(crate) delivered: HashMap<DeliveryTag, Delivery>,
    /// Deliveries with the number of the member that had them.
    pub(crate) copies: Vec<(u64, Delivery)>,
    pub(crate) kept: Vec<Member>,
}

impl Broken {
    fn new(flaw: &'static Flaw, clock: Arc<dyn Clock>) -> Self {
        let inner = Self::model(flaw, clock.clone());
        Self { inner, clock, memo: Arc::default(), flaw }
    }

    fn model(flaw: &'static Flaw, clock: Arc<dyn Clock>) -> MemoryBroker {
        let capabilities = (flaw.can)(everything());
        MemoryBroker::with_capabilities(clock, capabilities)
    }

    /// A broker of the same flaw in which there is nothing.
    pub(crate) fn emptied(&self) -> Self {
        Self { inner: Self::model(self.flaw, self.clock.clone()), ..self.clone() }
    }

    pub(crate) fn memo(&self) -> MutexGuard<'_, Memo> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other call gets.
    pub(crate) fn count(&self) -> u64 {
        let mut memo = self.memo();
        memo.count += 1;
        memo.count
    }

    pub(crate) fn send_now(&self, batch: Vec<Message>) -> Vec<Result<Receipt, SendError>> {
        let admitted = self.inner.send(batch).now_or_never().expect("the model never waits");
        let confirmed = admitted.map(|admitted| admitted.now_or_never().expect("the model confirms at once"));
        confirmed.unwrap_or_else(|error| vec![Err(error)])
    }

    pub(crate) fn ensure_now(&self, topology: &Topology) {
        let ensured = self.inner.ensure(topology, Ensure::Create).now_or_never().expect("the model never waits");
        ensured.expect("it was created before");
    }
}

/// What the model can do.
fn everything() -> Capabilities {
    Capabilities {
        emulated: Vec::new(),
        refused: Vec::new(),
        durability: Durability::Memory,
        gapless: true,
        limits: Limits::default(),
    }
}

#[async_trait]
impl Broker for Broken {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        if mode == Ensure::Create {
            self.memo().topology = (self.flaw.topology)(topology.clone());
        }
        (self.flaw.ensure)(self, (self.flaw.topology)(topology.clone()), mode).await
    }

    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        self.inner.capabilities(of).await?;
        Ok((self.flaw.says)(everything()))
    }

    async fn send(&self, batch: Vec<Message>) -> Result<Confirmations, SendError> {
        let batch = batch.into_iter().map(|message| (self.flaw.message)(self, message)).collect();
        (self.flaw.send)(self, batch).await
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        let spec = (self.flaw.spec)(spec);
        let (deliveries, settler) = (self.flaw.subscribe)(self, spec.clone()).await?;
        let (broker, member) = (self.clone(), self.count());
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        let (group, inner, turns) = (spec.group.clone(), settler.clone(), turn.clone());
        let settling = Settling { inner: settler, broker: broker.clone(), group, turn };
        let stash = Vec::new();
        let fetching = Fetching { inner: deliveries, settler: inner, broker, spec, member, stash, turn: turns };
        Ok((Box::new(fetching), Arc::new(settling)))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        Some(self)
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        (self.flaw.close)(self, deadline).await
    }
}

/// What comes to a member of the broken broker.
pub(crate) struct Fetching {
    pub(crate) inner: Box<dyn Deliveries>,
    pub(crate) settler: Arc<dyn Settler>,
    pub(crate) broker: Broken,
    pub(crate) spec: SubscriptionSpec,
    pub(crate) member: u64,
    pub(crate) stash: Vec<Delivery>,
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl Deliveries for Fetching {
    async fn next(&mut self, max: Limit) -> Result<Next, BrokerError> {
        let flaw = self.broker.flaw;
        let next = (flaw.next)(self, max).await?;
        let Next::Batch(batch) = next else { return Ok(next) };
        let group = &self.spec.group;
        let batch: Vec<_> = batch.into_iter().map(|delivery| (flaw.delivery)(&self.broker, group, delivery)).collect();
        self.broker.memo().delivered.extend(batch.iter().map(|delivery| (delivery.tag, delivery.clone())));
        Ok(Next::Batch(batch))
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        (self.broker.flaw.dropped)(self);
    }
}

/// What a member of the broken broker answers.
pub(crate) struct Settling {
    pub(crate) inner: Arc<dyn Settler>,
    pub(crate) broker: Broken,
    pub(crate) group: Group,
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
}

#[async_trait]
impl Settler for Settling {
    async fn settle(&self, outcomes: Outcomes) -> Answers {
        let flaw = self.broker.flaw;
        let outcomes = outcomes.into_iter().map(|(tag, outcome)| (tag, (flaw.outcome)(outcome))).collect();
        (flaw.settle)(self, outcomes).await
    }

    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Answers {
        (self.broker.flaw.extend)(self, tags, by).await
    }

    async fn commit(&self, outcomes: Outcomes, out: Vec<Message>) -> Result<Vec<Receipt>, CommitError> {
        (self.broker.flaw.commit)(self, outcomes, out).await
    }

    async fn seek(&self, to: Start) -> Result<(), BrokerError> {
        (self.broker.flaw.seek)(self, to).await
    }

    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError> {
        (self.broker.flaw.pause)(self, slices, paused).await
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        (self.broker.flaw.leave)(self, deadline).await
    }
}

#[async_trait]
impl Admin for Broken {
    async fn topics(&self) -> Result<Vec<TopicStatus>, BrokerError> {
        Ok((self.flaw.topics)(self.inner.topics().await?))
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError> {
        Ok((self.flaw.groups)(self.inner.groups().await?))
    }

    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError> {
        (self.flaw.browse)(self, group, limit).await
    }

    async fn find(&self, group: &Group, place: &Place) -> Result<Option<Pending>, BrokerError> {
        (self.flaw.find)(self, group, place).await
    }

    async fn purge(&self, group: &Group) -> Result<u64, BrokerError> {
        (self.flaw.purge)(self, group).await
    }

    async fn remove(&self, group: &Group, places: &[Place]) -> Result<u64, BrokerError> {
        (self.flaw.remove)(self, group, places).await
    }

    async fn resubmit(&self, from: &Group, place: &Place, message: Message) -> Result<Receipt, BrokerError> {
        (self.flaw.resubmit)(self, from, place, message).await
    }

    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError> {
        Ok((self.flaw.schedules)(self.inner.schedules(limit).await?))
    }

    async fn cancel(&self, id: &ScheduleId) -> Result<bool, BrokerError> {
        (self.flaw.cancel)(self, id).await
    }

    async fn resume(&self, group: &Group, key: &[u8], how: Resume) -> Result<u64, BrokerError> {
        (self.flaw.resume)(self, group, key, how).await
    }
}

/// The broken broker under test.
pub(crate) struct BrokenBackend(pub(crate) &'static Flaw);

#[async_trait]
impl Backend for BrokenBackend {
    fn name(&self) -> &'static str {
        self.0.name
    }

    async fn create(&self) -> Box<dyn Home> {
        Box::new(BrokenHome { flaw: self.0, broker: OnceLock::new() })
    }

    /// The model answers at once, so what has not come soon does not come.
    fn patience(&self) -> Duration {
        if self.0.name == SOUND.name { Duration::from_secs(20) } else { Duration::from_millis(500) }
    }
}

struct BrokenHome {
    flaw: &'static Flaw,
    broker: OnceLock<Broken>,
}

impl BrokenHome {
    fn opened(&self) -> &Broken {
        self.broker.get().expect("the broker was opened before")
    }
}

#[async_trait]
impl Home for BrokenHome {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        Arc::new(self.broker.get_or_init(|| Broken::new(self.flaw, clock)).clone())
    }

    async fn crash(&self, member: Member) {
        (self.flaw.crash)(self.opened(), member);
    }

    async fn reopen(&self, broker: Arc<dyn Broker>, _: Arc<dyn Clock>) -> Arc<dyn Broker> {
        drop(broker);
        Arc::new((self.flaw.reopen)(self.opened()))
    }
}
