//! The repository of a decider: load → decide → append → again on conflict.

mod handle;

use std::{fmt, ops::ControlFlow};

use jiff::Timestamp;
use mainspring_event::{EventId, StreamName, Version, is_category};
use mainspring_store::Store;

use crate::{
    Decider, LoadError, Snapshot, Snapshots, history,
    history::Loaded,
    snapshot::{Basis, Snapshotter},
};

pub use handle::Handle;

/// The aggregates of one decider in a store. Cloning is cheap.
///
/// ```
/// use mainspring_domain::{AsOf, CommandError, Decider, Repository};
/// use mainspring_event::{Event, Version};
/// use mainspring_store::{MemoryStore, Store};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Event)]
/// # #[event(crate = mainspring_event)]
/// struct SeatTaken { by: String }
///
/// #[derive(Default)]
/// struct Table { taken: u32 }
/// #[derive(Debug, thiserror::Error)]
/// #[error("the table is full")]
/// struct Full;
///
/// impl Decider for Table {
///     const CATEGORY: &'static str = "table";
///     type Id = u32;
///     type Command = String;
///     type Event = SeatTaken;
///     type Error = Full;
///
///     fn evolve(&mut self, _: &SeatTaken) {
///         self.taken += 1;
///     }
///
///     fn decide(&self, by: String) -> Result<Vec<SeatTaken>, Full> {
///         if self.taken < 2 { Ok(vec![SeatTaken { by }]) } else { Err(Full) }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tables = Repository::<Table>::new(&Store::new(MemoryStore::new()));
/// let receipt = tables.handle(&7, "ada".into()).idempotency_key("request-1").await?;
/// let repeated = tables.handle(&7, "ada".into()).idempotency_key("request-1").await?;
/// assert_eq!((receipt.version, &receipt), (Version(1), &repeated)); // One seat, not two.
///
/// tables.handle(&7, "bob".into()).await?;
/// assert!(matches!(tables.handle(&7, "eve".into()).await, Err(CommandError::Rejected(Full))));
/// assert_eq!(tables.load(&7).await?.taken, 2);
/// assert_eq!(tables.load_as_of(&7, AsOf::Version(Version(1))).await?.taken, 1);
/// # Ok(())
/// # }
/// ```
pub struct Repository<D: Decider> {
    store: Store,
    snapshots: Option<Snapshotter<D>>,
}

/// A moment in the life of an aggregate. The three ask different questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsOf {
    /// After the event with this version.
    Version(Version),
    /// What the store had at this moment: events recorded then or before. What arrived later is left out, even if it
    /// happened earlier.
    Recorded(Timestamp),
    /// What had happened at this moment, as is known today: events whose own time is then or before, in the order of
    /// the stream.
    Occurred(Timestamp),
}

impl<D: Decider> Repository<D> {
    /// The aggregates of `D` in `store`.
    pub fn new(store: &Store) -> Self {
        check_category::<D>();
        Self { store: store.clone(), snapshots: None }
    }

    /// Loads from snapshots, and writes one after a command when it is due.
    pub fn with_snapshots(mut self, when: Snapshots) -> Self
    where
        D: Snapshot,
    {
        self.snapshots = Some(Snapshotter::new(when));
        self
    }

    /// Carries out `command` on the aggregate `id`: reads its stream, decides, and appends on the condition that the
    /// stream is still where it was read; otherwise it starts again, ten times at most. The result is awaited; options
    /// come before that.
    ///
    /// Waits between attempts need the timer of a tokio runtime.
    pub fn handle(&self, id: &D::Id, command: D::Command) -> Handle<D> {
        Handle::new(self.clone(), StreamName::of(D::CATEGORY, id), command)
    }

    /// The present state of the aggregate `id`; the initial state if nothing has happened to it.
    ///
    /// # Errors
    /// [`LoadError`]; never a state that lacks events.
    pub async fn load(&self, id: &D::Id) -> Result<D, LoadError> {
        Ok(self.load_stream(&stream_of::<D>(id)?, None).await?.0.state)
    }

    /// The state of the aggregate `id` at an earlier moment. Always replays the events and uses no snapshot.
    ///
    /// # Errors
    /// [`LoadError`]; [`LoadError::BeyondHead`] for a version that does not exist yet.
    pub async fn load_as_of(&self, id: &D::Id, moment: AsOf) -> Result<D, LoadError> {
        let (stream, mut state) = (stream_of::<D>(id)?, D::default());
        let limit = match moment {
            AsOf::Version(Version::NONE) => return Ok(state),
            AsOf::Version(wanted) => Some(wanted.0),
            AsOf::Recorded(_) | AsOf::Occurred(_) => None,
        };
        let replayed = history::replay(&self.store, &stream, Version(1), limit, |event| {
            let belongs = match moment {
                AsOf::Version(_) => true,
                // What was recorded later stands behind it: the store never lets recorded times decrease.
                AsOf::Recorded(time) if event.recorded > time => return Ok(ControlFlow::Break(())),
                AsOf::Recorded(_) => true,
                // Times of the events' own come in any order, so later events can still belong.
                AsOf::Occurred(time) => event.time <= time,
            };
            if belongs {
                state.evolve(&history::decode(event)?);
            }
            Ok(ControlFlow::Continue(()))
        });
        let head = replayed.await?.version;
        match moment {
            AsOf::Version(wanted) if head < wanted => Err(LoadError::BeyondHead { stream, wanted, head }),
            _ => Ok(state),
        }
    }

    async fn load_stream(
        &self,
        stream: &StreamName,
        sought: Option<EventId>,
    ) -> Result<(Loaded<D>, Option<Basis>), LoadError> {
        match &self.snapshots {
            Some(snapshots) => snapshots.load(&self.store, stream, sought).await,
            None => Ok((history::load(&self.store, stream, sought).await?, None)),
        }
    }
}

impl<D: Decider> Clone for Repository<D> {
    fn clone(&self) -> Self {
        Self { store: self.store.clone(), snapshots: self.snapshots }
    }
}

impl<D: Decider> fmt::Debug for Repository<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("category", &D::CATEGORY).field("store", &self.store).finish_non_exhaustive()
    }
}

/// Fails the build where streams could not be named by the decider's category.
pub(crate) fn check_category<D: Decider>() {
    const {
        assert!(is_category(D::CATEGORY), "a category is not empty, has no `-` and does not begin with `$`");
    }
}

/// The stream of the aggregate `id`.
pub(crate) fn stream_of<D: Decider>(id: &D::Id) -> Result<StreamName, LoadError> {
    StreamName::of(D::CATEGORY, id).map_err(|error| LoadError::Invalid(error.into()))
}
