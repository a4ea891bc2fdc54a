//! What users write: how events become rows.

use std::future::Future;

use mainspring_event::{Event, Recorded};
use mainspring_retry::Failure;

use crate::View;

/// What a projection writes through.
pub type Writer<P> = <<P as Projection>::View as View>::Writer;

/// How events become the rows of one read model. Write its methods as plain `async fn`.
///
/// Everything goes through the writer, which is inside a transaction that belongs to the engine: do not commit or roll
/// back. The same event is applied again after a rollback, so keep no state in `self` that the tables do not hold.
///
/// A [`Failure`] rolls the transaction back and is tried again by the schedule of [`Options`](crate::Options); a permanent
/// one stops the projection. There is no way to skip an event but to return `Ok` without writing.
pub trait Projection: Send + Sync + 'static {
    /// Names the read model; the same for ever. Letters, digits, `_` and `-`.
    const NAME: &'static str;
    /// Raise it when the tables or their content change: the new version is built beside the old one and takes over when
    /// it has caught up.
    const VERSION: u32;
    /// The database that holds the rows.
    type View: View;
    /// The events it needs, often a view enum of its own. Nothing else is read.
    type Event: Event;

    /// Creates the tables. Called once for each generation.
    fn create(&self, to: &mut Writer<Self>) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Writes what one event changes.
    fn apply(
        &self,
        to: &mut Writer<Self>,
        event: &Recorded<Self::Event>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Writes what several events change, in order. Override it for bulk writes while catching up; it must leave the same
    /// rows as [`apply`](Projection::apply) for each. The engine calls this one only, also for a single event.
    fn apply_batch(
        &self,
        to: &mut Writer<Self>,
        events: &[Recorded<Self::Event>],
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        async move {
            for event in events {
                self.apply(to, event).await?;
            }
            Ok(())
        }
    }
}
