//! The loop of one subscription: it owns what it gets, calls handlers, and settles what they answered.
//!
//! Handlers that are ready at once run in place; those that wait become tasks of their own. Outcomes are gathered while
//! a settlement is under way and go with the next, so that a broker that takes its time is asked less often and not
//! later.

mod call;
mod drain;
mod gate;
mod held;
mod outcomes;
mod settling;
mod verdict;

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use mainspring_broker::{BrokerError, Deliveries, Delivery, Limit, Next, SettleError, Settler, Sharing};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet, coop},
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::{
    BoxFuture, Route, RunError,
    context::Surroundings,
    metrics::{Meter, Noted},
    runner::Setting,
    subscription::{BatchSize, Subscription},
};
pub(crate) use call::message as panic_message;
use call::{Called, call};
use gate::{Gate, Room};
use held::Held;
use settling::{Settled, Settling, until};
pub(crate) use verdict::Policy;

/// Handlers of one batch run in place for so long; the rest of it becomes tasks, which other processors can take.
const IN_PLACE: Duration = Duration::from_millis(2);

/// One subscription at work.
pub(crate) struct Worker {
    deliveries: Box<dyn Deliveries>,
    settling: Settling,
    route: Route,
    policy: Policy,
    surroundings: Arc<Surroundings>,
    meter: Meter,
    setting: watch::Receiver<Setting>,
    gate: Gate,
    held: Held,
    /// The most that it may hold.
    prefetch: usize,
    /// Slices are assigned and taken away, which it has to hear of also when it holds as much as it may.
    has_slices: bool,
    lease: Duration,
    running: JoinSet<Called>,
    gathering: Option<Gathering>,
    extending: Option<BoxFuture<'static, Extended>>,
    noted: Vec<Noted>,
}

/// A batch that is not complete.
struct Gathering {
    size: BatchSize,
    deliveries: Vec<Arc<Delivery>>,
    since: Option<Instant>,
}

type Extended = Vec<(mainspring_broker::DeliveryTag, Result<(), SettleError>)>;

/// What the loop waits for.
enum Happened {
    Stopped,
    Settled(Settled),
    Called(Result<Called, JoinError>),
    Extended(Extended),
    Tick,
    Next(Result<Next, BrokerError>),
    Nothing,
}

/// How the loop is built.
pub(crate) struct Parts {
    pub(crate) deliveries: Box<dyn Deliveries>,
    pub(crate) settler: Arc<dyn Settler>,
    pub(crate) route: Route,
    pub(crate) policy: Policy,
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) meter: Meter,
    pub(crate) setting: watch::Receiver<Setting>,
}

impl Worker {
    pub(crate) fn new(parts: Parts, subscription: &Subscription) -> Self {
        let Parts { deliveries, settler, route, policy, surroundings, meter, setting } = parts;
        let gathering = subscription.batch.map(|size| Gathering { size, deliveries: Vec::new(), since: None });
        Self {
            deliveries,
            settling: Settling::new(settler),
            route,
            policy,
            surroundings,
            meter,
            setting,
            gate: Gate::new(subscription.breaker, subscription.rate, Instant::now()),
            held: Held::default(),
            prefetch: subscription.held(),
            has_slices: subscription.sharing == Sharing::Slices,
            lease: subscription.lease,
            running: JoinSet::new(),
            gathering,
            extending: None,
            noted: Vec::new(),
        }
    }

    pub(crate) fn surroundings(&self) -> &Arc<Surroundings> {
        &self.surroundings
    }

    /// Handles messages until `stop` is true; then finishes what is in work, for `grace` at most.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>, grace: Duration) -> Result<(), RunError> {
        let served = self.serve(&mut stop).await;
        let drained = self.drain(grace).await;
        served.and(drained)
    }

    async fn serve(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), RunError> {
        let renewal = self.renewal();
        let mut ticks = interval_at(Instant::now() + renewal, renewal);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Where everything is always ready, others get their turn.
            coop::consume_budget().await;
            let now = Instant::now();
            self.begin_gathered(now);
            self.settling.start(now);
            let room = self.room(now);
            let gathered = self.gathering.as_ref().and_then(Gathering::due);
            let wake = [room.until, gathered, self.settling.again_at()].into_iter().flatten().min();
            let limit = Limit::messages(room.messages.max(1));
            // A full member gets no message, only news.
            let asks = room.messages > 0 || self.has_slices && self.held.len() >= self.prefetch;
            let happened = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => Happened::Stopped,
                settled = self.settling.answered(), if self.settling.is_under_way() => Happened::Settled(settled),
                Some(joined) = self.running.join_next() => Happened::Called(joined),
                extended = extended(&mut self.extending) => Happened::Extended(extended),
                _ = ticks.tick() => Happened::Tick,
                // The sender lives as long as the runner does.
                Ok(()) = self.setting.changed() => Happened::Nothing,
                next = self.deliveries.next(limit), if asks => Happened::Next(next),
                () = until(wake), if wake.is_some() => Happened::Nothing,
            };
            match happened {
                Happened::Stopped => return Ok(()),
                Happened::Next(next) => self.next(next)?,
                other => self.progress(other)?,
            }
        }
    }

    /// What goes on in the same way while it serves and while it drains.
    fn progress(&mut self, happened: Happened) -> Result<(), RunError> {
        match happened {
            Happened::Settled(settled) => return self.settled(settled),
            Happened::Called(joined) => {
                self.called(owned(joined));
                while let Some(joined) = self.running.try_join_next() {
                    self.called(owned(joined));
                }
                self.meter.note(self.noted.drain(..));
            }
            Happened::Extended(answers) => {
                for (tag, answer) in answers {
                    if matches!(answer, Err(SettleError::Stale)) {
                        self.held.lose(tag);
                    }
                }
            }
            Happened::Tick => self.extend(),
            Happened::Stopped | Happened::Next(_) | Happened::Nothing => {}
        }
        Ok(())
    }

    /// A lease is extended after a third of it, so that one extension may fail.
    fn renewal(&self) -> Duration {
        (self.lease / 3).max(Duration::from_millis(1))
    }

    fn room(&mut self, now: Instant) -> Room {
        let Setting { concurrency, paused } = *self.setting.borrow_and_update();
        let in_work = self.running.len();
        let free = concurrency.saturating_sub(in_work);
        let free = match &self.gathering {
            Some(_) if free == 0 => 0,
            Some(gathering) => gathering.size.messages - gathering.deliveries.len(),
            None => free,
        };
        let free = free.min(self.prefetch.saturating_sub(self.held.len()));
        if paused || free == 0 {
            return Room { messages: 0, until: None };
        }
        self.gate.room(free, in_work, now)
    }

    fn next(&mut self, next: Result<Next, BrokerError>) -> Result<(), RunError> {
        let group = || self.surroundings.group.clone();
        match next.map_err(|source| RunError::Broker { group: group(), source })? {
            Next::Batch(batch) => self.arrived(batch),
            Next::Revoking(handover) => {
                self.give_back(handover.slices());
                self.held.revoke(handover);
            }
            Next::Lost(slices) => {
                self.give_back(&slices);
                self.held.lose_slices(&slices);
            }
            Next::Closed => return Err(RunError::Closed { group: group() }),
            // Slices that were assigned need no preparation.
            _ => {}
        }
        Ok(())
    }

    fn arrived(&mut self, batch: Vec<Delivery>) {
        let now = Instant::now();
        self.gate.took(batch.len());
        for delivery in batch {
            let delivery = Arc::new(delivery);
            self.held.add(&delivery, now);
            if let Some(outcome) = self.policy.before(&delivery) {
                self.decided(&delivery, outcome, None);
            } else if let Some(gathering) = &mut self.gathering {
                gathering.since.get_or_insert(now);
                gathering.deliveries.push(delivery);
            } else {
                self.begin(Arc::new([delivery]), now);
            }
        }
        self.meter.note(self.noted.drain(..));
    }

    /// Calls the handler for a batch that is complete, or has waited for long enough.
    fn begin_gathered(&mut self, now: Instant) {
        let Some(gathering) = &mut self.gathering else { return };
        let full = gathering.deliveries.len() >= gathering.size.messages;
        if full || gathering.due().is_some_and(|due| due <= now) {
            let deliveries: Arc<[_]> = std::mem::take(&mut gathering.deliveries).into();
            gathering.since = None;
            self.begin(deliveries, now);
            self.meter.note(self.noted.drain(..));
        }
    }

    /// Calls the handler, in place as far as it is ready at once.
    fn begin(&mut self, deliveries: Arc<[Arc<Delivery>]>, burst: Instant) {
        let mut calling = call(&self.route, deliveries, &self.surroundings);
        if burst.elapsed() < IN_PLACE {
            // Nobody has to be woken: what is not ready is polled again by a task of its own.
            if let Poll::Ready(called) = calling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                self.called(called);
                return;
            }
        }
        self.running.spawn(calling);
    }

    /// Keeps what is held for longer than one renewal, so that handlers may take as long as they need.
    fn extend(&mut self) {
        let tags = self.held.longer_than(self.renewal(), Instant::now());
        if tags.is_empty() || self.extending.is_some() {
            return;
        }
        let (settler, lease) = (self.settling.settler().clone(), self.lease);
        self.extending = Some(Box::pin(async move {
            let answers = settler.extend(&tags, lease).await;
            tags.into_iter().zip(answers).collect()
        }));
    }
}

impl Gathering {
    /// When it is handled, complete or not.
    fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + self.size.within)
    }
}

/// What a handler answered. A panic that was not one of the handler's own is the loop's, and so its owner's.
fn owned(joined: Result<Called, JoinError>) -> Called {
    joined.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(error) => panic!("nobody cancels a handler while its loop runs: {error}"),
    })
}

/// Waits for the extension that is under way; for ever where there is none.
async fn extended(extending: &mut Option<BoxFuture<'static, Extended>>) -> Extended {
    let Some(call) = extending else { return std::future::pending().await };
    let answers = call.await;
    *extending = None;
    answers
}
