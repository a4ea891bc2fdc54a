//! A broker behind a network that fails. What fails follows from a seed, and is counted.
//!
//! Behind the network is the reference model, which keeps every law; so whoever stands before it sees what a sound broker
//! looks like over a bad connection: `NotAttempted`, `Unknown` of what was done and of what was not, late confirmations, stale
//! deliveries. Nothing here is wrong, and whoever works with it must lose nothing.

mod member;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use mainspring_broker::{
    Admin, Broker, BrokerError, Capabilities, Confirmations, Deliveries, Destination, Drift, Ensure, MemoryBroker,
    Message, Receipt, SendError, Settler, SubscriptionSpec, Topology,
};
use mainspring_conformance::Seed;
use tokio::task::yield_now;

use member::Line;

/// How often what goes wrong: once in so many times, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trouble {
    /// There is no connection, and that is known: nothing is sent.
    pub refused: Option<u64>,
    /// A request is lost on its way: nothing is done, and nobody knows.
    pub lost_request: Option<u64>,
    /// An answer is lost on its way: it is done, and nobody knows.
    pub lost_answer: Option<u64>,
    /// The connection ends within a batch: its beginning is stored and confirmed, the rest is neither.
    pub cut: Option<u64>,
    /// A confirmation comes late.
    pub late: Option<u64>,
    /// A member loses its connection: what it holds comes back, and it joins again by itself.
    pub disconnect: Option<u64>,
}

impl Trouble {
    /// A network without faults.
    pub const NONE: Self =
        Self { refused: None, lost_request: None, lost_answer: None, cut: None, late: None, disconnect: None };

    /// Some of everything.
    pub const SOME: Self = Self {
        refused: Some(11),
        lost_request: Some(13),
        lost_answer: Some(13),
        cut: Some(9),
        late: Some(5),
        disconnect: Some(17),
    };
}

/// How often what went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interruptions {
    /// Sends that were refused for want of a connection.
    pub refused: u64,
    /// Requests that were lost.
    pub lost_requests: u64,
    /// Answers that were lost.
    pub lost_answers: u64,
    /// Batches that were cut.
    pub cuts: u64,
    /// Confirmations that came late.
    pub late: u64,
    /// Connections of members that were lost.
    pub disconnects: u64,
}

/// The reference model behind a network that fails.
#[derive(Clone)]
pub struct SimBroker {
    inner: MemoryBroker,
    network: Arc<Network>,
}

/// What the halves of all members share with their broker.
struct Network {
    trouble: Trouble,
    chance: Mutex<Chance>,
}

struct Chance {
    seed: Seed,
    injected: Interruptions,
}

/// What happens to one request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    RequestLost,
    AnswerLost,
}

impl Network {
    fn chance(&self) -> MutexGuard<'_, Chance> {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something goes wrong now that does so once in so many times.
    fn strikes(&self, once_in: Option<u64>, count: impl FnOnce(&mut Interruptions) -> &mut u64) -> bool {
        let mut chance = self.chance();
        let strikes = once_in.is_some_and(|times| chance.seed.once_in(times));
        if strikes {
            *count(&mut chance.injected) += 1;
        }
        strikes
    }

    fn fate(&self) -> Fate {
        if self.strikes(self.trouble.lost_request, |injected| &mut injected.lost_requests) {
            Fate::RequestLost
        } else if self.strikes(self.trouble.lost_answer, |injected| &mut injected.lost_answers) {
            Fate::AnswerLost
        } else {
            Fate::Answered
        }
    }
}

impl SimBroker {
    /// Puts a network between `inner` and whoever uses it; what fails follows from `seed`.
    pub fn new(inner: MemoryBroker, seed: u64, trouble: Trouble) -> Self {
        let chance = Chance { seed: Seed::new(seed), injected: Interruptions::default() };
        Self { inner, network: Arc::new(Network { trouble, chance: Mutex::new(chance) }) }
    }

    /// What has gone wrong so far.
    pub fn injected(&self) -> Interruptions {
        self.network.chance().injected
    }

    /// The same network before the broker's next life.
    pub fn restart(&self) -> Self {
        Self { inner: self.inner.restart(), network: self.network.clone() }
    }

    async fn sent(&self, batch: Vec<Message>) -> Result<Vec<Result<Receipt, SendError>>, SendError> {
        Ok(self.inner.send(batch).await?.await)
    }
}

#[async_trait]
impl Broker for SimBroker {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        self.inner.ensure(topology, mode).await
    }

    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        self.inner.capabilities(of).await
    }

    async fn send(&self, mut batch: Vec<Message>) -> Result<Confirmations, SendError> {
        let network = &self.network;
        if network.strikes(network.trouble.refused, |injected| &mut injected.refused) {
            return Err(SendError::NotAttempted("there is no connection".into()));
        }
        let unknown = |count: usize| (0..count).map(|_| Err(SendError::Unknown("the connection was lost".into())));
        let count = batch.len();
        let answers = match network.fate() {
            Fate::RequestLost => unknown(count).collect(),
            Fate::AnswerLost => {
                // What is refused is known before anything is sent.
                self.sent(batch).await?;
                unknown(count).collect()
            }
            Fate::Answered if network.strikes(network.trouble.cut, |injected| &mut injected.cuts) => {
                batch.truncate(network.chance().seed.index(count + 1));
                let mut answers = self.sent(batch).await?;
                answers.extend(unknown(count - answers.len()));
                answers
            }
            Fate::Answered => self.sent(batch).await?,
        };
        if !network.strikes(network.trouble.late, |injected| &mut injected.late) {
            return Ok(Confirmations::now(answers));
        }
        let turns = network.chance().seed.within(1..=20);
        Ok(Confirmations::later(async move {
            for _ in 0..turns {
                yield_now().await;
            }
            answers
        }))
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        let (deliveries, settler) = Line::open(self.inner.clone(), self.network.clone(), spec).await?;
        Ok((Box::new(deliveries), Arc::new(settler)))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        self.inner.admin()
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.inner.close(deadline).await
    }
}
