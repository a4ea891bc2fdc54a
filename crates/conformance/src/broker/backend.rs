//! What a broker has to provide so that the laws can be asked of it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mainspring_broker::{Broker, Deliveries, Feature, Settler};
use mainspring_store::Clock;

use crate::law::Subjected;

/// A kind of broker under test.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// What to call it in messages.
    fn name(&self) -> &'static str;

    /// What it cannot do, each with the reason. Nothing, unless it says so.
    fn opt_outs(&self) -> &'static [OptOut] {
        &[]
    }

    /// A place for one broker with nothing in it, apart from all others: whatever is created there is seen nowhere else.
    async fn create(&self) -> Box<dyn Home>;

    /// How time passes there.
    fn time(&self) -> Time {
        Time::Set
    }

    /// How long a law waits for what must come before it says that it is missing.
    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }

    /// How long a law listens before it says that nothing comes. Shorter than the unit of [`Time::Real`].
    fn lull(&self) -> Duration {
        Duration::from_millis(30)
    }
}

/// How time passes for a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// By the clock that it was opened with, which the test sets.
    Set,
    /// By a clock of its own. Laws count in such units: long enough for the broker to be on time, short enough to wait.
    Real {
        /// One unit.
        unit: Duration,
    },
}

/// The place of one broker.
#[async_trait]
pub trait Home: Send + Sync {
    /// Connects to the broker that lives here; called once, and there is nothing in it.
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker>;

    /// Ends a member as its process would by being killed: nothing is settled, nobody is told.
    ///
    /// Dropping it is as much as a broker in the same process can notice; others cut the connection.
    async fn crash(&self, member: Member) {
        drop(member);
    }

    /// Kills the broker, starts it again and connects to it.
    ///
    /// # Panics
    /// Unless it is overridden: a backend without it opts out of [`Need::Reopen`].
    async fn reopen(&self, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        let _ = (broker, clock);
        panic!("the backend neither overrides `reopen` nor opts out of it")
    }
}

/// Both halves of a member.
pub struct Member {
    /// What comes to it.
    pub deliveries: Box<dyn Deliveries>,
    /// What it answers.
    pub settler: Arc<dyn Settler>,
}

/// What some laws need beyond an open broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A second life of the same broker after it was killed.
    Reopen,
    /// That the broker can do this.
    With(Feature),
}

/// A declared inability.
pub type OptOut = crate::OptOut<Need>;

impl Subjected for dyn Backend {
    type Need = Need;

    fn title(&self) -> &'static str {
        self.name()
    }

    fn inabilities(&self) -> &'static [OptOut] {
        self.opt_outs()
    }

    fn endurance(&self) -> Duration {
        self.patience()
    }
}
