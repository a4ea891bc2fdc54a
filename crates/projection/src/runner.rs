//! The engine: a future that keeps one projection up to date, builds its successor beside it, and switches.

mod engine;
mod follower;
mod publisher;
mod setback;
mod work;

use std::{
    fmt,
    pin::{Pin, pin},
};

use mainspring_retry::with_causes;
use mainspring_store::Store;
use tokio::sync::mpsc;

use crate::{Opened, Options, Projected, Projection, ProjectionError, View, projected::RebuildRequest};
use engine::{Engine, Model};
use follower::{Follower, Role};
use publisher::Publisher;

/// Keeps one projection up to date. Spawn [`run`](Runner::run) and join it: what it returns is the only word on why the
/// projection stopped.
#[must_use = "a projection stands still until its runner runs"]
pub struct Runner<P: Projection> {
    engine: Engine<P>,
    opened: Opened<Model<P>>,
    rebuild: mpsc::Receiver<RebuildRequest>,
}

/// Opens the read model of `projection`, with its tables, and prepares to keep it up to date from `store`.
///
/// # Errors
/// [`ProjectionError`] when the read model cannot be opened or created, or the store does not answer.
pub async fn prepare<P: Projection>(
    projection: P,
    view: P::View,
    store: Store,
) -> Result<(Projected<P>, Runner<P>), ProjectionError> {
    prepare_with(projection, view, store, Options::default()).await
}

/// The same with other [`Options`].
///
/// # Errors
/// [`ProjectionError`] as for [`prepare`].
pub async fn prepare_with<P: Projection>(
    projection: P,
    view: P::View,
    store: Store,
    options: Options,
) -> Result<(Projected<P>, Runner<P>), ProjectionError> {
    let opened = view.open(P::NAME, P::VERSION).await.map_err(engine::cannot_open::<P>)?;
    let publisher = Publisher::new::<P>(opened.current());
    let (reading, status) = publisher.subscribe();
    let engine = Engine::new(projection, view, store.clone(), options, publisher)?;
    let info = engine.info().await?;
    engine.look(&opened, &info).await?;
    let (request, rebuild) = mpsc::channel(1);
    let (meter, waiting) = (engine.meter.clone(), engine.waiting.clone());
    Ok((Projected::new(store, reading, status, request, meter, waiting), Runner { engine, opened, rebuild }))
}

impl<P: Projection> Runner<P> {
    /// Runs until `stop` completes, or until the projection cannot go on.
    ///
    /// # Errors
    /// [`ProjectionError`] says why it cannot go on. Nothing was skipped.
    ///
    /// # Cancel safety
    /// Dropping it at any moment is as safe as a crash: the next run goes on from the last commit.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), ProjectionError> {
        let Self { engine, mut opened, mut rebuild } = self;
        let mut stop = pin!(stop);
        let result = loop {
            let pause = run_until_pause(&engine, &opened, &mut rebuild, stop.as_mut()).await;
            let next = match (pause, opened) {
                (Ok(Pause::Stop), _) => break Ok(()),
                (Ok(Pause::Rebuild(answer)), opened) => reopen(&engine, opened, answer).await,
                (Ok(Pause::Switched), Opened::Building { next, .. } | Opened::Settled(next)) => {
                    Ok(Opened::Settled(next))
                }
                (Err(error), _) => Err(error),
            };
            match next {
                Ok(next) => opened = next,
                Err(error) => break Err(error),
            }
        };
        engine.publisher.stopped();
        if let Err(error) = &result {
            tracing::error!(projection = P::NAME, error = with_causes(error), "the projection has stopped");
        }
        result
    }
}

impl<P: Projection> fmt::Debug for Runner<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("projection", &P::NAME).field("version", &P::VERSION).finish_non_exhaustive()
    }
}

/// What made the followers pause.
enum Pause {
    Stop,
    Rebuild(RebuildRequest),
    /// What was being built has caught up and is current now.
    Switched,
}

async fn run_until_pause<P: Projection>(
    engine: &Engine<P>,
    opened: &Opened<Model<P>>,
    rebuild: &mut mpsc::Receiver<RebuildRequest>,
    stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<Pause, ProjectionError> {
    let same_version = P::View::generation(opened.current()).version == P::VERSION;
    let mut current = same_version.then(|| Follower::new(engine, opened.current(), Role::Current));
    let mut next = opened.next().map(|model| Follower::new(engine, model, Role::Next));
    let pause = tokio::select! {
        biased;
        () = stop => Pause::Stop,
        Some(answer) = rebuild.recv() => Pause::Rebuild(answer),
        ended = follow(current.as_mut(), next.as_mut()) => {
            ended?;
            Pause::Switched
        }
    };
    // What was under way has been dropped with its transaction; what remains is progress over nothing.
    for follower in [current, next].into_iter().flatten() {
        follower.save_at_the_end().await;
    }
    Ok(pause)
}

/// Keeps what readers see up to date and builds what replaces it, until that is current.
async fn follow<P: Projection>(
    current: Option<&mut Follower<'_, P>>,
    next: Option<&mut Follower<'_, P>>,
) -> Result<(), ProjectionError> {
    let Some(next) = next else {
        return match current {
            Some(current) => current.follow().await,
            // The view has neither a generation of this version nor one to build: nothing to do until it is stopped.
            None => std::future::pending().await,
        };
    };
    let keep_current = async {
        // What readers see may be broken beyond repair, which is why it is being replaced: that does not stop the build.
        if let Some(current) = current
            && let Err(error) = current.follow().await
        {
            let error = with_causes(&error);
            tracing::warn!(projection = P::NAME, error, "the generation being replaced is no longer kept up to date");
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        ended = next.follow() => ended?,
        () = keep_current => {}
    }
    // From here on nobody moves what readers see, so it cannot get ahead of what replaces it.
    next.take_over().await
}

/// Records the request and opens what is to be built for it.
async fn reopen<P: Projection>(
    engine: &Engine<P>,
    opened: Opened<Model<P>>,
    answer: RebuildRequest,
) -> Result<Opened<Model<P>>, ProjectionError> {
    let recorded = engine.view.rebuild(P::NAME).await;
    let failed = recorded.is_err();
    // Whoever asked may have stopped waiting; the request stands.
    let _ = answer.send(recorded.map_err(Into::into));
    if failed {
        return Ok(opened);
    }
    drop(opened);
    let opened = engine.view.open(P::NAME, P::VERSION).await.map_err(engine::cannot_open::<P>)?;
    let info = engine.info().await?;
    engine.look(&opened, &info).await?;
    Ok(opened)
}
