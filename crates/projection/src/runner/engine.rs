//! What all parts of one running projection share.

use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt;
use mainspring_event::{Event, EventTypeName, Position, Recorded};
use mainspring_retry::{BoxError, Failure};
use mainspring_store::{Info, Query, Store};
use tokio::time::Instant;

use super::{publisher::Publisher, setback::Panicked};
use crate::{Opened, Options, Projection, ProjectionError, View, metrics::Meter, waiting::Waiting};

/// One open generation of a projection.
pub(super) type Model<P> = <<P as Projection>::View as View>::Model;
/// A transaction of a projection's view.
pub(super) type Tx<P> = <<P as Projection>::View as View>::Tx;
type Reader<P> = <<P as Projection>::View as View>::Reader;

pub(super) struct Engine<P: Projection> {
    pub(super) projection: P,
    pub(super) view: P::View,
    pub(super) store: Store,
    pub(super) options: Options,
    pub(super) query: Query,
    pub(super) publisher: Publisher<Reader<P>>,
    pub(super) meter: Meter,
    pub(super) waiting: Waiting,
}

impl<P: Projection> Engine<P> {
    pub(super) fn new(
        projection: P,
        view: P::View,
        store: Store,
        options: Options,
        publisher: Publisher<Reader<P>>,
    ) -> Result<Self, ProjectionError> {
        let (meter, waiting) = (Meter::new(), Waiting::new());
        Ok(Self { projection, view, store, options, query: query::<P>()?, publisher, meter, waiting })
    }

    pub(super) async fn info(&self) -> Result<Info, ProjectionError> {
        self.store.info().await.map_err(|source| ProjectionError::Store { name: P::NAME, source: source.into() })
    }

    /// Creates the tables that readers may ask for, and publishes what there is.
    pub(super) async fn look(&self, opened: &Opened<Model<P>>, info: &Info) -> Result<(), ProjectionError> {
        let current = opened.current();
        let checkpoint = self.view.checkpoint(current).await.map_err(cannot_open::<P>)?;
        if checkpoint.is_none() && P::View::generation(current).version == P::VERSION {
            self.create(current, info).await.map_err(|failure| ProjectionError::Create {
                name: P::NAME,
                attempts: 1,
                source: failure.into_source(),
            })?;
        }
        // Positions of another history mean nothing here; the follower says so with an error.
        let admitted = checkpoint.filter(|checkpoint| info.admits(checkpoint).is_ok());
        let at = admitted.map_or(Position::START, |checkpoint| checkpoint.position);
        self.publisher.opened::<P>(opened, at, info.head);
        Ok(())
    }

    /// Creates the tables of a generation together with its first checkpoint, unless it has been done.
    pub(super) async fn create(&self, model: &Model<P>, info: &Info) -> Result<(), Failure> {
        let (mut tx, checkpoint) = self.view.begin(model).await?;
        if checkpoint.is_some() {
            return Ok(());
        }
        guarded(self.projection.create(P::View::writer(&mut tx))).await?;
        Ok(self.view.commit(tx, info.checkpoint(Position::START)).await?)
    }

    /// Applies `events` inside `tx`.
    pub(super) async fn apply(&self, tx: &mut Tx<P>, events: &[Recorded<P::Event>]) -> Result<(), Failure> {
        let begun = Instant::now();
        let applied = guarded(async { self.projection.apply_batch(P::View::writer(tx), events).await }).await;
        self.meter.applied(begun.elapsed());
        applied
    }
}

/// The read model of `P` cannot be opened.
pub(super) fn cannot_open<P: Projection>(source: impl Into<BoxError>) -> ProjectionError {
    ProjectionError::Open { name: P::NAME, source: source.into() }
}

/// The filter: the types that the projection declares.
fn query<P: Projection>() -> Result<Query, ProjectionError> {
    let mut types = Vec::new();
    for known in P::Event::TYPES {
        let event_type = known.name;
        let checked = EventTypeName::new(event_type);
        types.push(checked.map_err(|source| ProjectionError::EventType { name: P::NAME, event_type, source })?);
    }
    // A query item without types would select every type.
    if types.is_empty() { Ok(Query::Items(Vec::new())) } else { Ok(Query::types(types)) }
}

/// Runs user code so that a panic in it is a failure with its cause, and not a silent death.
async fn guarded(code: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    AssertUnwindSafe(code).catch_unwind().await.unwrap_or_else(|panic| Err(Panicked::new(&*panic).into()))
}
