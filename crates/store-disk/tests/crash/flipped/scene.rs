//! A small store that has every kind of file, left in different ways, and what reading it must show.

use std::sync::Arc;

use futures_util::StreamExt;
use mainspring_conformance::{ManualClock, Seed};
use mainspring_event::{Metadata, MetadataValue, NewEvent, StoredEvent, Tag, Version};
use mainspring_sim::{SimDisk, Unsynced};
use mainspring_store::{
    Append, Appended, EventStore, Lineage, Query, QueryItem, Read, ReadError, ReadFrom, Retained, Retention, Scope,
    StoreId, StreamChange,
};
use mainspring_store_disk::{Disk, DiskStore, OpenError, Options, restore_backup_on};

use crate::{
    kit::{clock, event, in_place, replayable, stream, wait_for},
    truth::Truth,
    workload::{STREAMS, Workload},
};

/// How the store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Closed,
    /// Everything is synced, and room is written ahead.
    Killed,
    /// It is a backup of it.
    BackedUp,
}

pub(super) struct Scene {
    left: Left,
    pub(super) disk: SimDisk,
    /// What is read, and what is shown.
    answers: Vec<(Read, Answer)>,
    /// An append that was acknowledged, to be repeated.
    known: (Append, Appended),
}

/// The events that a read shows, and how it ends.
#[derive(Debug)]
struct Answer {
    events: Vec<StoredEvent>,
    error: Option<ReadError>,
}

impl Scene {
    pub(super) async fn of(left: Left) -> Self {
        let (disk, clock) = (SimDisk::new(11), clock());
        fill(&disk, &clock).await;
        let store = large().clock(clock.clone()).open_on(Arc::new(disk.clone())).unwrap();
        let append = Append::new([event(&mut Seed::new(12), "e-1", 31)]);
        let appended = store.append(append.clone()).await.unwrap();
        let mut answers = Vec::new();
        for read in reads() {
            let answer = Answer::of(&store, read.clone()).await;
            answers.push((read, answer));
        }
        let disk = match left {
            Left::Killed => {
                let ahead = || disk.contents("next.log.new").is_some_and(|zeros| zeros.len() as u64 == LARGE);
                wait_for("the next segment is not written ahead", ahead);
                disk.crash(Unsynced::Kept)
            }
            Left::Closed => {
                store.close().unwrap();
                disk.crash(Unsynced::Kept)
            }
            Left::BackedUp => {
                let backup = SimDisk::new(12);
                store.backup_on(Arc::new(backup.clone())).unwrap();
                backup.crash(Unsynced::Kept)
            }
        };
        Self { left, disk, answers, known: (append, appended) }
    }

    /// Whether what is read is what was written, or else an error. If `whole`, no read may fail.
    pub(super) async fn shows(&self, disk: Arc<dyn Disk>, whole: bool) -> Result<(), String> {
        match large().open_read_only_on(disk) {
            Ok(store) => self.compare(&store, whole).await,
            Err(OpenError::Damaged(_)) if !whole => Ok(()),
            Err(error) => Err(format!("it cannot be opened: {error:?}")),
        }
    }

    /// Whether a store that is opened for writing, or restored from the backup, shows everything and knows what it holds.
    /// Answers where it is.
    pub(super) async fn goes_on(&self, disk: SimDisk) -> Result<SimDisk, String> {
        let mut home = disk;
        if self.left == Left::BackedUp {
            let (backup, restored) = (home, SimDisk::new(13));
            restore_backup_on(Arc::new(backup), Arc::new(restored.clone())).map_err(|error| format!("{error:?}"))?;
            home = restored;
        }
        let store = large().open_on(Arc::new(home.clone()));
        let store = store.map_err(|error| format!("it cannot be opened: {error:?}"))?;
        self.compare(&store, true).await?;
        let (append, answer) = &self.known;
        match store.append(append.clone()).await {
            Ok(again) if again == *answer => {}
            other => return Err(format!("an append that is repeated is answered {other:?}")),
        }
        store.close().map_err(|error| error.to_string())?;
        Ok(home)
    }

    async fn compare(&self, store: &DiskStore, whole: bool) -> Result<(), String> {
        for (read, expected) in &self.answers {
            let answer = Answer::of(store, read.clone()).await;
            let as_before = answer.events == expected.events && answer.says() == expected.says();
            let ends_early =
                matches!(answer.error, Some(ReadError::Damaged(_))) && expected.events.starts_with(&answer.events);
            if !as_before && (whole || !ends_early) {
                return Err(format!("{read:?} is answered {answer:?}, not {expected:?}"));
            }
        }
        Ok(())
    }
}

/// As large as a segment is in the end, so that there is room behind the log.
const LARGE: u64 = 8192;

/// The store as it is opened in the end.
fn large() -> Options {
    in_place(LARGE, &clock())
}

/// Several segments, some of which were written again or removed to free space.
async fn fill(disk: &SimDisk, clock: &Arc<ManualClock>) {
    let truth = Truth::of(small()).await;
    // The identity is the same each time, so that scenes can be compared.
    let (store, lineage) = (StoreId::from_bytes([7; 16]), Lineage::from_bytes([8; 16]));
    let options = replayable(truth.workload.segment_bytes, clock).identity(store, lineage);
    let store = options.open_on(Arc::new(disk.clone())).unwrap();
    truth.send(&store, clock).await.unwrap();
    let freed = store.scavenge().await.unwrap();
    assert!(freed.rewritten > 0 && freed.removed > 0, "{freed:?}");
    let end = truth.workload.appends().count();
    truth.find(&store, end..=end).await.unwrap();
}

impl Answer {
    async fn of(store: &DiskStore, read: Read) -> Self {
        let mut batches = store.read(read);
        let mut events = Vec::new();
        while let Some(batch) = batches.next().await {
            match batch {
                Ok(batch) => events.extend(batch.iter().map(|event| event.to_stored().expect("names are names"))),
                Err(error) => return Self { events, error: Some(error) },
            }
        }
        Self { events, error: None }
    }

    fn says(&self) -> Option<String> {
        self.error.as_ref().map(ToString::to_string)
    }
}

/// Reads of every kind.
fn reads() -> Vec<Read> {
    let ids = small().appends().flat_map(|append| append.events.iter().map(|event| event.id)).collect();
    let category = Scope::Category("a".parse().unwrap());
    let queries = [
        Query::All,
        Query::Ids(ids),
        Query::tags([tag("k:1")]),
        Query::tags([tag("k:1"), tag("l:22")]),
        Query::types(["Happened".parse().unwrap()]),
        Query::Items(vec![QueryItem { scope: category, ..QueryItem::default() }]),
    ];
    let streams = STREAMS.map(|name| Query::stream(stream(name)));
    let mut reads: Vec<_> = queries.into_iter().chain(streams).map(Read::new).collect();
    reads.push(Read::new(Query::All).from(ReadFrom::End).backwards());
    reads
}

fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

/// Of everything something: tags, metadata, and all ways in which space becomes free.
fn small() -> Workload {
    let mut seed = Seed::new(11);
    let mut single = |name: &str, payload: usize| Append::new([event(&mut seed, name, payload)]);
    let tagged = |append: Append| {
        let mut metadata = Metadata::default();
        metadata.user = Some("ada".into());
        metadata.insert("retries", MetadataValue::Integer(3)).unwrap();
        let tags = vec![tag("k:1"), tag("l:22")];
        let with = |event: NewEvent| NewEvent { tags: tags.clone(), metadata: metadata.clone(), ..event };
        Append { events: append.events.into_iter().map(with).collect(), ..append }
    };
    let retention = Retention { max_count: Some(1), max_age: None };
    let register = StreamChange::Retain { target: Retained::Stream(stream("$r-1")), retention };
    let steps = vec![
        // Nothing will be left of the segments that these fill.
        vec![single("$r-1", 400)],
        vec![single("$r-1", 400)],
        vec![single("$r-1", 33).change(register)],
        vec![single("a-1", 3)],
        vec![tagged(single("a-2", 10)), single("b-1", 100)],
        vec![single("c-1", 5), tagged(single("a-1", 0)), tagged(single("a-1", 1))],
        vec![single("d-1", 450)],
        vec![Append::default().change(StreamChange::Tombstone { stream: stream("d-1") })],
        vec![single("$r-1", 12), single("a-1", 7)],
        vec![Append::default().change(StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(3) })],
        vec![tagged(single("b-1", 250)), single("b-2", 90)],
        vec![tagged(single("b-1", 450))],
        vec![single("e-1", 18)],
    ];
    Workload { segment_bytes: 1800, steps }
}
