//! Carrying out an agenda: many clerks at once, each with one command under way, so that the store can commit what comes
//! together with one sync.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use mainspring::{Repository, event::Source};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    agenda::{Agenda, Step},
    progress::{Progress, Stopwatch},
};
use crate::Order;

/// So many commands are under way at once.
pub(super) const IN_FLIGHT: usize = 128;

/// Who produces the events.
const SOURCE: &str = "/apps/shop/demo";

/// How often whoever watches is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Carries out everything, and says how long each command took. The first command that fails ends it.
pub(super) async fn carry_out(
    orders: Repository<Order>,
    agenda: Agenda,
    watch: &Stopwatch<'_, impl Progress>,
) -> Result<Vec<Duration>> {
    let (done, source) = (Arc::new(AtomicU64::new(0)), Source::new(SOURCE)?);
    let mut latencies = Vec::with_capacity(usize::try_from(agenda.len()).unwrap_or(0));
    let mut clerks = JoinSet::new();
    for steps in agenda.divide(IN_FLIGHT) {
        clerks.spawn(work(orders.clone(), steps, source.clone(), done.clone()));
    }
    let mut tick = interval(TELL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            ended = clerks.join_next() => match ended {
                // Dropping the set ends the other clerks when one has failed.
                Some(ended) => latencies.extend(ended??),
                None => break,
            },
            _ = tick.tick() => watch.at(done.load(Ordering::Relaxed)),
        }
    }
    watch.at(done.load(Ordering::Relaxed));
    Ok(latencies)
}

/// One clerk: one command after the other.
async fn work(
    orders: Repository<Order>,
    steps: Vec<Step>,
    source: Source,
    done: Arc<AtomicU64>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(steps.len());
    for Step { at, order, key, command } in steps {
        let begun = Instant::now();
        let handled = orders.handle(&order, command).idempotency_key(key).at(at).source(source.clone()).await;
        handled.with_context(|| format!("the command `{key}` of order {order} was not carried out"))?;
        latencies.push(begun.elapsed());
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(latencies)
}
