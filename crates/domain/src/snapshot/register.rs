//! The register that holds the newest snapshot of a stream, and loading with its help.

use std::{ops::ControlFlow, time::Duration};

use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_event::{Category, EventId, EventRef, EventTypeName, NewEvent, StreamName, Version};
use mainspring_store::{
    Append, AppendError, BoxError, EventBatch, Expected, Query, Read, Retained, Retention, Store, StreamChange,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Snapshot, Snapshots};
use crate::{Decider, LoadError, history, history::Loaded};

/// Reads and writes the snapshots of one decider. The functions are what remains of its [`Snapshot`], so that a
/// repository of a decider without snapshots needs no serde.
pub(crate) struct Snapshotter<D> {
    name: &'static str,
    version: u32,
    when: Snapshots,
    encode: fn(Version, &D) -> serde_json::Result<Vec<u8>>,
    decode: fn(&[u8]) -> serde_json::Result<Held<D>>,
}

/// What a snapshot was loaded from, for deciding on the next one.
pub(crate) struct Basis {
    /// The stream that holds the snapshot.
    register: StreamName,
    /// The version of that stream when it was read; it must still be there when the next snapshot is written, or else
    /// that could replace a newer one.
    head: Version,
    /// The version that the snapshot covers.
    pub(super) covered: Version,
    /// When the store took the oldest event that the snapshot does not cover.
    pub(super) oldest: Option<Timestamp>,
    /// How long loading took.
    pub(super) took: Duration,
}

/// The payload of a snapshot, and the state in memory.
#[derive(Deserialize)]
pub(crate) struct Held<D> {
    version: Version,
    state: D,
}

/// The same, borrowed.
#[derive(Serialize)]
struct Holding<'a, D> {
    version: Version,
    state: &'a D,
}

/// The register as it was read.
struct Register<D> {
    stream: StreamName,
    head: Version,
    held: Option<Held<D>>,
}

/// Why a snapshot is ignored.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it was made by `{name}` version {version}")]
    Other { name: String, version: u32 },
    #[error("it covers version {0}, which the stream has not come to")]
    BeyondHead(Version),
}

impl<D> Clone for Snapshotter<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D> Copy for Snapshotter<D> {}

impl<D: Decider> Snapshotter<D> {
    pub(crate) fn new(when: Snapshots) -> Self
    where
        D: Snapshot,
    {
        const {
            assert!(D::VERSION > 0, "snapshot versions are counted from 1");
            assert!(!D::NAME.is_empty(), "a snapshot's name must not be empty");
        }
        Self {
            name: D::NAME,
            version: D::VERSION,
            when,
            encode: |version, state| serde_json::to_vec(&Holding { version, state }),
            decode: |payload| serde_json::from_slice(payload),
        }
    }

    /// Loads the state from the snapshot, if there is one that can be used, and the events after it. Where all events are
    /// replayed, looks out for the one that is `sought`.
    pub(crate) async fn load(
        &self,
        store: &Store,
        stream: &StreamName,
        sought: Option<EventId>,
    ) -> Result<(Loaded<D>, Option<Basis>), LoadError> {
        let started = Instant::now();
        let register = match self.read(store, stream).await {
            Ok(register) => register,
            Err(error) => {
                report(stream, "the snapshot cannot be read; replaying the events", &error);
                return Ok((history::load(store, stream, sought).await?, None));
            }
        };
        let mut covered = Version::NONE;
        let mut resumed = None;
        if let Some(held) = register.held {
            covered = held.version;
            resumed = resume(store, stream, held).await?;
            if resumed.is_none() {
                ignored(stream, &Unusable::BeyondHead(covered).into());
                covered = Version::NONE;
            }
        }
        let loaded = match resumed {
            Some(loaded) => loaded,
            None => history::load(store, stream, sought).await?,
        };
        let (oldest, took) = (loaded.oldest, started.elapsed());
        let basis = Basis { register: register.stream, head: register.head, covered, oldest, took };
        Ok((loaded, Some(basis)))
    }

    /// Writes a snapshot of the state after `events` happened to what was `loaded`, if one is due. A failure is reported.
    pub(crate) async fn after(&self, store: &Store, loaded: Loaded<D>, basis: Basis, events: &[NewEvent]) {
        let version = Version(loaded.version.0 + events.len() as u64);
        if !self.when.due(&basis, version) {
            return;
        }
        let stream = basis.register.clone();
        match self.write(store, loaded.state, version, basis, events).await {
            Ok(()) => {}
            Err(Unwritten::Overtaken) => {
                tracing::debug!(stream = stream.as_str(), "another snapshot was written first");
            }
            Err(Unwritten::Failed(error)) => report(&stream, "no snapshot was written", &error),
        }
    }

    async fn write(
        &self,
        store: &Store,
        mut state: D,
        version: Version,
        basis: Basis,
        events: &[NewEvent],
    ) -> Result<(), Unwritten> {
        // What was stored counts, not what was decided: a codec that loses something must not go unnoticed.
        for event in events {
            let event = crate::staging::preview(event, history::decode::<D::Event>);
            state.evolve(&event.map_err(BoxError::from)?);
        }
        let payload = (self.encode)(version, &state).map_err(BoxError::from)?;
        let name = EventTypeName::new(self.name).map_err(BoxError::from)?;
        let stream = basis.register;
        let mut snapshot = NewEvent::json(stream.clone(), name, payload);
        snapshot.schema_version = self.version;
        let mut append = Append::new([snapshot]).expect(stream.clone(), Expected::Exactly(basis.head));
        if basis.head == Version::NONE {
            // One rule for all snapshots, so that a store does not hold one for each stream.
            let retention = Retention { max_count: Some(1), ..Retention::default() };
            let snapshots = Category::new(stream.category()).map_err(BoxError::from)?;
            append = append.change(StreamChange::Retain { target: Retained::Category(snapshots), retention });
        }
        match store.append(append).await {
            Ok(_) => Ok(()),
            Err(AppendError::Conflict(_)) => Err(Unwritten::Overtaken),
            Err(error) => Err(Unwritten::Failed(error.into())),
        }
    }

    async fn read(&self, store: &Store, of: &StreamName) -> Result<Register<D>, BoxError> {
        let stream = StreamName::new(format!("$snapshot-{of}"))?;
        let newest = Read::new(Query::stream(stream.clone())).backwards().limit(1);
        let mut batches = store.read(newest);
        let mut register = Register { stream, head: Version::NONE, held: None };
        while let Some(batch) = batches.next().await {
            let batch: EventBatch = batch?;
            if let Some(event) = batch.iter().next() {
                register.head = event.version;
                match self.open(&event) {
                    Ok(held) => register.held = Some(held),
                    Err(error) => ignored(of, &error),
                }
                break;
            }
        }
        Ok(register)
    }

    fn open(&self, event: &EventRef<'_>) -> Result<Held<D>, BoxError> {
        if (event.event_type, event.schema_version) != (self.name, self.version) {
            let (name, version) = (event.event_type.to_owned(), event.schema_version);
            return Err(Unusable::Other { name, version }.into());
        }
        Ok((self.decode)(event.payload)?)
    }
}

/// Why no snapshot was written.
enum Unwritten {
    /// Another command wrote one since the register was read, perhaps a newer one.
    Overtaken,
    Failed(BoxError),
}

impl From<BoxError> for Unwritten {
    fn from(error: BoxError) -> Self {
        Self::Failed(error)
    }
}

/// Goes on from a snapshot; `None` when the stream has not come to the version that it covers.
///
/// The event at that version is read too, because its presence proves that the stream has come so far.
async fn resume<D: Decider>(store: &Store, stream: &StreamName, held: Held<D>) -> Result<Option<Loaded<D>>, LoadError> {
    let Held { version: covered, mut state } = held;
    if covered == Version::NONE {
        return Ok(None);
    }
    let mut oldest = None;
    let replayed = history::replay(store, stream, covered, None, |event| {
        if event.version > covered {
            oldest.get_or_insert(event.recorded);
            state.evolve(&history::decode(event)?);
        }
        Ok(ControlFlow::Continue(()))
    });
    match replayed.await {
        Ok(replayed) if replayed.version < covered => Ok(None),
        Ok(replayed) => {
            let (version, through) = (replayed.version, replayed.through);
            Ok(Some(Loaded { state, version, through, oldest, lacks_sought: false }))
        }
        // Truncation up to the snapshot takes nothing away from it.
        Err(LoadError::Truncated { first, .. }) if first.0 == covered.0 + 1 => {
            Ok(Some(history::load_from(store, stream, state, covered, None).await?))
        }
        Err(error) => Err(error),
    }
}

fn ignored(stream: &StreamName, error: &BoxError) {
    report(stream, "a snapshot is ignored; replaying the events", error);
}

fn report(stream: &StreamName, what: &str, error: &BoxError) {
    tracing::warn!(stream = stream.as_str(), error = error.as_ref() as &dyn std::error::Error, "{what}");
}
