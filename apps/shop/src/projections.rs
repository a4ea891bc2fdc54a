//! The shop's projections from outside: what they are called, and building one of them anew. How far they are is no
//! question to the shop: [`Views::list`] says it of any read model.

use std::{path::Path, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use mainspring::{
    Projection, Store,
    disk::DiskStore,
    event::Position,
    projection::{Building, Generation, ProjectionError, Runner, Status, prepare},
    sqlite::{ViewError, Views},
};
use serde::Serialize;
use tokio::sync::{oneshot, watch};

use crate::views::{DailyRevenue, OrderSummary, OrdersByCustomer};

/// The directory of the read models in that of the store.
pub const VIEWS: &str = "views";

/// The projections of the shop by name, each with the version that this program has of it.
pub const PROJECTIONS: [(&str, u32); 3] = [
    (DailyRevenue::NAME, DailyRevenue::VERSION),
    (OrderSummary::NAME, OrderSummary::VERSION),
    (OrdersByCustomer::NAME, OrdersByCustomer::VERSION),
];

/// What became of a wish to build a read model anew.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Rebuild {
    /// It was built and is what readers see now.
    Done {
        /// Which generation it is.
        generation: u32,
        /// How far it has come.
        position: u64,
        /// How long it took, in seconds.
        seconds: f64,
    },
    /// Another process keeps the read model up to date. It will be built anew when it is run the next time.
    Recorded,
}

/// Builds the read model `name` anew beside the present one, which is read until the new one has everything. Calls
/// `progress` with where it is and where it is going.
///
/// # Errors
/// When there is no shop or no such projection, or an event cannot be applied; the present read model stays.
///
/// # Cancel safety
/// Dropping it leaves a build that the next run of the projection goes on with.
pub async fn rebuild(data: &Path, name: &str, progress: impl FnMut(u64, u64)) -> Result<Rebuild> {
    let known = PROJECTIONS.map(|(name, _)| name);
    ensure!(known.contains(&name), "the shop has no projection `{name}`; it has {}", known.join(", "));
    let (store, views) = open(data).await?;
    views.rebuild(name).await?;
    match name {
        DailyRevenue::NAME => build(DailyRevenue, views, store, progress).await,
        OrderSummary::NAME => build(OrderSummary, views, store, progress).await,
        _ => build(OrdersByCustomer, views, store, progress).await,
    }
}

/// Opens what is there; nothing is created where no shop is.
async fn open(data: &Path) -> Result<(Store, Views)> {
    let store = open_read_only(data).await?;
    let views = data.join(VIEWS);
    ensure!(views.is_dir(), "there are no read models in `{}`; the demo creates them", data.display());
    let opened = Views::open(&views).await;
    Ok((store, opened.with_context(|| format!("the read models in `{}` cannot be opened", views.display()))?))
}

/// Opens the store in `data` to read only.
async fn open_read_only(data: &Path) -> Result<Store> {
    let directory = data.to_owned();
    // Opening reads the end of the log.
    let opened = tokio::task::spawn_blocking(move || DiskStore::open_read_only(directory)).await?;
    let store = opened.with_context(|| format!("the store in `{}` cannot be opened", data.display()))?;
    Ok(Store::new(store))
}

/// Runs a projection of which a rebuild was asked for, until that is done.
async fn build<P>(projection: P, views: Views, store: Store, progress: impl FnMut(u64, u64)) -> Result<Rebuild>
where
    P: Projection<View = Views>,
{
    let begun = Instant::now();
    let head = store.info().await?.head;
    let (projected, runner) = match prepare(projection, views, store).await {
        Err(error) if is_locked(&error) => return Ok(Rebuild::Recorded),
        prepared => prepared?,
    };
    let reached = run_to(head, runner, projected.watch(), progress).await?;
    let Generation { number, .. } = projected.generation();
    Ok(Rebuild::Done { generation: number, position: reached.0, seconds: begun.elapsed().as_secs_f64() })
}

/// Whether another process runs the projection.
fn is_locked(error: &ProjectionError) -> bool {
    let ProjectionError::Open { source, .. } = error else { return false };
    matches!(source.downcast_ref(), Some(ViewError::Locked { .. }))
}

/// Runs a projection until nothing is being built any more and readers see everything up to `head`.
async fn run_to<P: Projection>(
    head: Position,
    runner: Runner<P>,
    mut status: watch::Receiver<Status>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Position> {
    let (stop, stopped) = oneshot::channel::<()>();
    let watching = async move {
        // It is dropped when the watching ends, and that is what stops the runner.
        let _stop = stop;
        loop {
            let Status { at, building, failure, .. } = status.borrow_and_update().clone();
            match &building {
                None if at >= head => return Ok(at),
                None => progress(at.0, head.0),
                Some(building) => progress(building.at.0, head.0),
            }
            // What readers see may be of no use any more, of a store that was restored say. That is why it is replaced.
            if let Some(failure) = building.map_or(failure, |Building { failure, .. }| failure) {
                bail!("it cannot go on: {}", failure.error);
            }
            // The runner has ended; it says why itself.
            if status.changed().await.is_err() {
                bail!("it was stopped");
            }
        }
    };
    let (ran, watched) = tokio::join!(
        runner.run(async {
            // Whether it was sent or dropped, it is time to stop.
            let _ = stopped.await;
        }),
        watching
    );
    ran?;
    watched
}
