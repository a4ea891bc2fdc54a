//! The reference model: the contract in its plainest form, without a disk and without a network.
//!
//! Every broker is compared with it, so it favours the obvious over the fast: each call looks at everything there is.

mod choice;
mod creating;
mod group;
mod member;
mod operator;
mod settling;
mod state;
mod topic;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_store::{Clock, SystemClock};
use tokio::{sync::watch, time};

use crate::{
    Admin, Broker, BrokerError, Capabilities, Confirmations, Deliveries, Destination, Drift, Durability, Ensure,
    Limits, Message, SendError, Settler, SubscriptionSpec, Topology,
};
use member::Membership;
use state::State;

/// A broker that lives and dies with the process. Cloning shares it.
#[derive(Clone)]
pub struct MemoryBroker {
    shared: Arc<Shared>,
    /// Which life of the broker this handle was connected to.
    life: u64,
}

struct Shared {
    clock: Arc<dyn Clock>,
    capabilities: Capabilities,
    state: Mutex<State>,
    /// Wakes whoever waits; the state is the truth.
    changed: watch::Sender<()>,
}

/// How often whoever waits looks at the clock: nobody tells when a clock behind a seam has moved.
const LOOK: Duration = Duration::from_millis(2);

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBroker {
    /// An empty broker that can do everything.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty broker that can do everything and takes its time from `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let capabilities = Capabilities {
            emulated: Vec::new(),
            refused: Vec::new(),
            durability: Durability::Memory,
            gapless: true,
            limits: Limits::default(),
        };
        Self::with_capabilities(clock, capabilities)
    }

    /// An empty broker that can do less, or has other limits: what stands in for a real one in a test.
    pub fn with_capabilities(clock: Arc<dyn Clock>, capabilities: Capabilities) -> Self {
        let state = State::new(capabilities.clone());
        let shared = Shared { clock, capabilities, state: Mutex::new(state), changed: watch::Sender::new(()) };
        Self { shared: Arc::new(shared), life: 0 }
    }

    /// The same broker after a crash: what it had confirmed is there, all connections to it are gone, and what their
    /// members held comes back. Handles from before are closed.
    pub fn restart(&self) -> Self {
        let life = self.shared.change(State::restart);
        Self { shared: self.shared.clone(), life }
    }

    /// Changes the state, if this handle is still connected.
    fn connected<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, BrokerError> {
        self.shared.change(|state| if state.is_open(self.life) { Ok(change(state)) } else { Err(BrokerError::Closed) })
    }
}

impl Shared {
    /// A panic while the lock was held left nothing half-done that would matter more than the panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass, changes the state and wakes whoever waits.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.advance(self.clock.now());
        let changed = change(&mut state);
        drop(state);
        self.changed.send_replace(());
        changed
    }

    /// Waits until `look` finds something, or until `deadline`.
    async fn wait<T>(&self, deadline: Option<Instant>, look: impl Fn(&mut State) -> Option<T>) -> Option<T> {
        let mut changed = self.changed.subscribe();
        loop {
            {
                let mut state = self.lock();
                if state.advance(self.clock.now()) {
                    self.changed.send_replace(());
                    changed.mark_unchanged();
                }
                if let Some(found) = look(&mut state) {
                    return Some(found);
                }
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return None;
            }
            // Either a change or the next look at the clock: both lead to the same question.
            let _ = time::timeout(LOOK, changed.changed()).await;
        }
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        self.connected(|state| state.ensure(topology, mode))?
    }

    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        let known = self.connected(|state| state.topics.contains_key(of))?;
        if known { Ok(self.shared.capabilities.clone()) } else { Err(BrokerError::NoTopic(of.clone())) }
    }

    async fn send(&self, batch: Vec<Message>) -> Result<Confirmations, SendError> {
        self.shared.capabilities.limits.check(&batch)?;
        let answers = self.connected(|state| state.send_batch(batch));
        answers.map(Confirmations::now).map_err(|closed| SendError::NotAttempted(closed.into()))
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        let group = spec.group.clone();
        let member = self.connected(|state| state.join(spec))??;
        let membership = Membership { shared: self.shared.clone(), group, member, life: self.life };
        let (deliveries, settler) = membership.split();
        Ok((Box::new(deliveries), Arc::new(settler)))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        Some(self)
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        let life = self.life;
        self.shared.change(|state| state.begin_to_close(life));
        let idle = |state: &mut State| (!state.is_in_flight(life)).then_some(());
        self.shared.wait(Some(deadline), idle).await;
        self.shared.change(|state| state.end_members(life));
        Ok(())
    }
}
