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

/// So many clerks work at once.
pub(super) const CLERKS: usize = 192;

/// Who produces the events.
const SOURCE: &str = "/apps/shop/demo";

/// How often whoever watches is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What all clerks share.
struct Desk {
    orders: Repository<Order>,
    agenda: Agenda,
    source: Source,
    done: AtomicU64,
}

/// Carries out everything, and says how long each command took. The first command that fails ends it.
pub(super) async fn carry_out(
    orders: Repository<Order>,
    agenda: Agenda,
    watch: &Stopwatch<'_, impl Progress>,
) -> Result<Vec<Duration>> {
    let mut latencies = Vec::with_capacity(usize::try_from(agenda.count()).unwrap_or(0));
    let desk = Arc::new(Desk { orders, agenda, source: Source::new(SOURCE)?, done: AtomicU64::new(0) });
    let mut clerks = JoinSet::new();
    for _ in 0..CLERKS {
        clerks.spawn(work(desk.clone()));
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
            _ = tick.tick() => watch.at(desk.done.load(Ordering::Relaxed)),
        }
    }
    watch.at(desk.done.load(Ordering::Relaxed));
    Ok(latencies)
}

/// One clerk: one command after the other, until nothing is left to do.
async fn work(desk: Arc<Desk>) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    while let Some(Step { at, order, key, command, after, done }) = desk.agenda.take() {
        if let Some(after) = after
            && after.await.is_err()
        {
            // The step before has failed. Its clerk says why, and this one has nothing to add.
            break;
        }
        let begun = Instant::now();
        let handled = desk.orders.handle(&order, command).idempotency_key(key).at(at).source(desk.source.clone()).await;
        handled.with_context(|| format!("the command `{key}` of order {order} was not carried out"))?;
        latencies.push(begun.elapsed());
        desk.done.fetch_add(1, Ordering::Relaxed);
        if let Some(done) = done {
            // Nobody waits behind the last step of an order.
            let _ = done.send(());
        }
    }
    Ok(latencies)
}
