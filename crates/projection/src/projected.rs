//! What an application holds to read from a projection and to know how far it is.

use std::{fmt, time::Duration};

use mainspring_event::Position;
use mainspring_store::{BoxError, ReadError, Store};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Generation, Metrics, Phase, Projection, Status, View, metrics::Meter, waiting::Waiting};

/// A read model and how far it is. Cheap to clone; it outlives its runner and can then still be read.
pub struct Projected<P: Projection> {
    store: Store,
    reading: watch::Receiver<Reading<<P::View as View>::Reader>>,
    status: watch::Receiver<Status>,
    rebuild: mpsc::Sender<RebuildRequest>,
    meter: Meter,
    waiting: Waiting,
}

/// What readers see, published as one value so that reader and position always belong together.
#[derive(Clone)]
pub(crate) struct Reading<R> {
    pub(crate) reader: R,
    pub(crate) generation: Generation,
    pub(crate) at: Position,
}

/// Why a read model cannot be read as of a position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It did not get there in time. Answer "accepted, not visible yet", or wait longer.
    #[error("projection `{name}` is at {at} and did not reach {wanted} in {waited:?}")]
    Lagging {
        /// Which projection.
        name: &'static str,
        /// How far it is.
        at: Position,
        /// Where it should be.
        wanted: Position,
        /// How long it was given.
        waited: Duration,
    },
    /// It is not running and will not get there; its runner has the cause.
    #[error("projection `{name}` has stopped")]
    Stopped {
        /// Which projection.
        name: &'static str,
    },
}

/// Why a rebuild was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// Nothing runs the projection. Ask the view; the next run then rebuilds.
    #[error("projection `{name}` has stopped; ask its view for the rebuild and start it again")]
    Stopped {
        /// Which projection.
        name: &'static str,
    },
    /// The view could not record the request; the projection goes on as before.
    #[error("the rebuild of projection `{name}` cannot be recorded")]
    Failed {
        /// Which projection.
        name: &'static str,
        /// What the view says.
        source: BoxError,
    },
}

/// Asks a runner for a rebuild and takes its answer.
pub(crate) type RebuildRequest = oneshot::Sender<Result<(), BoxError>>;

impl<P: Projection> Projected<P> {
    pub(crate) fn new(
        store: Store,
        reading: watch::Receiver<Reading<<P::View as View>::Reader>>,
        status: watch::Receiver<Status>,
        rebuild: mpsc::Sender<RebuildRequest>,
        meter: Meter,
        waiting: Waiting,
    ) -> Self {
        Self { store, reading, status, rebuild, meter, waiting }
    }

    /// Whatever is there now. Ask again for each query: after a rebuild, readers are given another generation.
    ///
    /// While the first generation of a new version is being built these are the old version's tables;
    /// [`generation`](Self::generation) says which.
    pub fn read(&self) -> <P::View as View>::Reader {
        self.reading.borrow().reader.clone()
    }

    /// The read model with at least everything up to `position` (read your writes). While somebody waits here, nothing
    /// [lingers](crate::Options::linger).
    ///
    /// # Errors
    /// [`WaitError`] when it does not get there within this time, or has stopped before it.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn read_after(
        &self,
        position: Position,
        within: Duration,
    ) -> Result<<P::View as View>::Reader, WaitError> {
        let mut reading = self.reading.clone();
        let _waits = (reading.borrow().at < position).then(|| self.waiting.begin());
        let reached = tokio::time::timeout(within, reading.wait_for(|reading| reading.at >= position)).await;
        match reached {
            Ok(Ok(reading)) => Ok(reading.reader.clone()),
            Ok(Err(_)) => Err(WaitError::Stopped { name: P::NAME }),
            Err(_) => {
                let at = self.reading.borrow().at;
                Err(WaitError::Lagging { name: P::NAME, at, wanted: position, waited: within })
            }
        }
    }

    /// Everything up to here that matches is in what [`read`](Self::read) gives.
    pub fn at(&self) -> Position {
        self.reading.borrow().at
    }

    /// Which generation [`read`](Self::read) gives.
    pub fn generation(&self) -> Generation {
        self.reading.borrow().generation
    }

    /// How it is doing, as its runner last said.
    pub fn status(&self) -> Status {
        let mut status = self.status.borrow().clone();
        if self.status.has_changed().is_err() {
            status.phase = Phase::Stopped;
        }
        status
    }

    /// Follows the status as it changes. The channel closes when the projection stops.
    pub fn watch(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// What it has done since it was prepared, and what that took.
    pub fn metrics(&self) -> Metrics {
        self.meter.read()
    }

    /// By how many positions the read model is behind the store's head at this moment.
    ///
    /// # Errors
    /// The store cannot say where its head is.
    pub async fn lag(&self) -> Result<u64, ReadError> {
        let head = self.store.info().await?.head;
        Ok(head.0.saturating_sub(self.at().0))
    }

    /// Builds the read model anew beside the present one, which goes on being read and kept up to date; readers switch
    /// when the new one has caught up. Returns as soon as the request is recorded.
    ///
    /// # Errors
    /// [`RebuildError`] when nothing runs the projection, or the view cannot record the request.
    ///
    /// # Cancel safety
    /// Dropping it does not take the request back.
    pub async fn rebuild(&self) -> Result<(), RebuildError> {
        let stopped = || RebuildError::Stopped { name: P::NAME };
        let (answer, answered) = oneshot::channel();
        self.rebuild.send(answer).await.map_err(|_| stopped())?;
        match answered.await {
            Ok(result) => result.map_err(|source| RebuildError::Failed { name: P::NAME, source }),
            Err(_) => Err(stopped()),
        }
    }
}

impl<P: Projection> Clone for Projected<P> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            reading: self.reading.clone(),
            status: self.status.clone(),
            rebuild: self.rebuild.clone(),
            meter: self.meter.clone(),
            waiting: self.waiting.clone(),
        }
    }
}

impl<P: Projection> fmt::Debug for Projected<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projected").field("status", &self.status()).finish_non_exhaustive()
    }
}
