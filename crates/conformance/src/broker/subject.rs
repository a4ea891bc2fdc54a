//! One broker under test, with what most laws do to it.

use std::{
    fmt::Debug,
    ops::Deref,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use mainspring_broker::{
    Admin, Broker, BrokerError, Capabilities, Drift, Ensure, Feature, Group, Limits, Message, Receipt, SendError,
    Sharing, SubscriptionSpec, Topology,
};
use mainspring_store::{Clock, SystemClock};
use tokio::time;

use super::{
    Backend, Home, Need, Time,
    consumer::Consumer,
    sample::{BILLING, ORDERS, group, to},
};
use crate::ManualClock;

/// A broker under test. Its methods panic where the broker does what no law allows.
pub(crate) struct Subject {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) home: Box<dyn Home>,
    clock: Passing,
    patience: Duration,
    lull: Duration,
    /// Whether groups of competing members become groups whose members have slices: brokers that are logs know no others.
    shares_slices: bool,
}

/// The clock of the broker, and how to make time pass on it.
enum Passing {
    Set(Arc<ManualClock>),
    Real(Duration),
}

impl Passing {
    fn clock(&self) -> Arc<dyn Clock> {
        match self {
            Self::Set(clock) => clock.clone(),
            Self::Real(_) => Arc::new(SystemClock),
        }
    }
}

impl Deref for Subject {
    type Target = dyn Broker;

    fn deref(&self) -> &Self::Target {
        &*self.broker
    }
}

impl Subject {
    /// A broker with this topology and nothing in it.
    pub(crate) async fn with(backend: &dyn Backend, topology: &Topology) -> Self {
        let subject = Self::open(backend).await;
        subject.create(topology).await;
        subject
    }

    /// A broker without topology. A clock that is set begins at 2001-09-09T01:46:40Z.
    pub(crate) async fn open(backend: &dyn Backend) -> Self {
        let begin = Timestamp::from_second(1_000_000_000).expect("a time of this era");
        let clock = match backend.time() {
            Time::Set => Passing::Set(Arc::new(ManualClock::at(begin))),
            Time::Real { unit } => Passing::Real(unit),
        };
        let home = backend.create().await;
        let broker = home.open(clock.clock()).await;
        let shares_slices = backend.opt_outs().iter().any(|opt_out| opt_out.lacks == Need::With(Feature::Competing));
        Self { broker, home, clock, patience: backend.patience(), lull: backend.lull(), shares_slices }
    }

    /// Kills the broker; its second life.
    pub(crate) async fn reopen(self) -> Self {
        let Self { broker, home, clock, patience, lull, shares_slices } = self;
        let broker = home.reopen(broker, clock.clock()).await;
        Self { broker, home, clock, patience, lull, shares_slices }
    }

    /// Creates what must be possible to create.
    pub(crate) async fn create(&self, topology: &Topology) {
        let drift = self.ensures(topology, Ensure::Create).await.expect("the topology can be created");
        assert_eq!(drift, [], "what was just created is as it was asked for");
    }

    /// Ensures a topology, in which members share as they can here.
    pub(crate) async fn ensures(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        let mut topology = topology.clone();
        if self.shares_slices {
            topology.subscriptions.iter_mut().for_each(|group| group.sharing = Sharing::Slices);
        }
        self.ensure(&topology, mode).await
    }

    /// What the broker can do where orders go.
    pub(crate) async fn can(&self) -> Capabilities {
        self.capabilities(&to(ORDERS)).await.expect("an open broker can say what it can do")
    }

    /// How large things may be where orders go.
    pub(crate) async fn limits(&self) -> Limits {
        self.can().await.limits
    }

    /// So many units of time: minutes, unless the time is real.
    pub(crate) fn units(&self, count: u32) -> Duration {
        match self.clock {
            Passing::Set(_) => Duration::from_secs(60) * count,
            Passing::Real(unit) => unit * count,
        }
    }

    /// Lets so many units of time pass.
    pub(crate) async fn pass(&self, count: u32) {
        match &self.clock {
            Passing::Set(clock) => clock.advance(self.units(count)),
            Passing::Real(_) => time::sleep(self.units(count)).await,
        }
    }

    /// The time of the broker, as far as a law can know it.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.clock().now()
    }

    /// Sends what must be stored.
    pub(crate) async fn stored(&self, messages: impl IntoIterator<Item = Message>) -> Vec<Receipt> {
        let answers = self.answers(messages).await;
        answers.into_iter().map(|answer| answer.expect("nothing stands against this message")).collect()
    }

    /// Sends what must be admitted, and waits for what becomes of it.
    pub(crate) async fn answers(&self, messages: impl IntoIterator<Item = Message>) -> Vec<Result<Receipt, SendError>> {
        let batch: Vec<_> = messages.into_iter().collect();
        let count = batch.len();
        let admitted = self.within(self.send(batch), "admission").await.expect("the batch is admitted");
        let answers = self.within(admitted, "the confirmation of each message").await;
        assert_eq!(answers.len(), count, "there is an answer for each message");
        answers
    }

    /// Sends one message that must not be stored; the error may come on admission or later.
    pub(crate) async fn refused(&self, message: Message) -> SendError {
        match self.within(self.send(vec![message]), "admission").await {
            Err(error) => error,
            Ok(admitted) => {
                let mut answers = self.within(admitted, "a confirmation").await;
                let answer = answers.pop().expect("there is an answer for each message");
                answer.expect_err("this message must be refused")
            }
        }
    }

    /// A member of billing.
    pub(crate) async fn member(&self) -> Consumer {
        self.joins(SubscriptionSpec::new(group(BILLING))).await
    }

    /// A member of this group.
    pub(crate) async fn member_of(&self, name: &str) -> Consumer {
        self.joins(SubscriptionSpec::new(group(name))).await
    }

    /// A member as it is specified; its lease is four units, unless it says otherwise.
    pub(crate) async fn joins(&self, spec: SubscriptionSpec) -> Consumer {
        let usual = SubscriptionSpec::new(spec.group.clone()).lease;
        let spec = if spec.lease == usual { spec.lease(self.units(4)) } else { spec };
        let joined = self.within(self.subscribe(spec), "a subscription").await;
        let (deliveries, settler) = joined.expect("the group takes another member");
        Consumer::new(deliveries, settler, self.patience, self.lull)
    }

    /// Kills a member.
    pub(crate) async fn crash(&self, consumer: Consumer) {
        self.home.crash(consumer.into_member()).await;
    }

    /// How many messages a group has not settled.
    pub(crate) async fn lag(&self, group: &Group) -> Option<u64> {
        let admin: &dyn Admin = self.admin()?;
        let groups = admin.groups().await.expect("an open broker can say how its groups stand");
        Some(groups.iter().find(|status| status.group == *group).expect("the group is listed").lag)
    }

    /// A deadline that is not reached unless something is wrong.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    /// A deadline that is reached soon, when nothing happens.
    pub(crate) fn soon(&self) -> Instant {
        Instant::now() + self.lull
    }

    /// Waits no longer than the backend's patience.
    pub(crate) async fn within<T>(&self, future: impl Future<Output = T>, what: impl Debug) -> T {
        let waited = time::timeout(self.patience, future).await;
        waited.unwrap_or_else(|_| panic!("{what:?} did not come within {:?}", self.patience))
    }
}

/// The name of an error's class.
pub(crate) fn class(error: &SendError) -> &'static str {
    match error {
        SendError::Rejected { .. } => "Rejected",
        SendError::TooLarge { .. } => "TooLarge",
        SendError::Unroutable { .. } => "Unroutable",
        SendError::Throttled { .. } => "Throttled",
        SendError::NotAttempted(_) => "NotAttempted",
        SendError::Unknown(_) => "Unknown",
        _ => "another",
    }
}

/// The name of an error's class.
pub(crate) fn kind(error: &BrokerError) -> &'static str {
    match error {
        BrokerError::Invalid { .. } => "Invalid",
        BrokerError::Refused { .. } => "Refused",
        BrokerError::NoTopic(_) => "NoTopic",
        BrokerError::NoGroup(_) => "NoGroup",
        BrokerError::Closed => "Closed",
        _ => "another",
    }
}
