//! What a process does until it is killed: a bit of everything at once, and it says so each time.

use std::{collections::HashMap, ffi::OsString};

use futures_util::StreamExt;
use mainspring_conformance::Seed;
use mainspring_event::{Category, EventId, NewEvent, Tag, Version};
use mainspring_store::{
    Append, Appended, Check, EventStore, Expected, Query, Read, ReadFrom, Retained, Retention, StreamChange,
};
use mainspring_store_disk::DiskStore;
use tokio::{
    runtime::Runtime,
    task::{JoinSet, yield_now},
};

use crate::{
    kit::{event, events, stream},
    processes::{open, say},
};

/// How many events the stream `r-1` keeps.
pub(super) const KEPT: u64 = 5;

pub(super) fn run_until_killed(directory: &OsString) {
    let store = open(directory).unwrap();
    say("opened");
    Runtime::new().unwrap().block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..5_u64 {
            let worker = Worker {
                store: store.clone(),
                seed: Seed::new(u64::from(std::process::id()) * 10 + number),
                name: format!("a-{number}"),
            };
            match number {
                0 | 1 => tasks.spawn(worker.append_on()),
                2 => tasks.spawn(worker.append_under_conditions()),
                3 => tasks.spawn(worker.remove()),
                _ => tasks.spawn(worker.read_on()),
            };
        }
        tasks.spawn(follow(store));
        tasks.join_next().await.unwrap().unwrap();
    });
}

struct Worker {
    store: DiskStore,
    seed: Seed,
    name: String,
}

impl Worker {
    /// Events of one commit; each says where in it it stands.
    fn commit(&mut self, name: &str, most: u64) -> Vec<NewEvent> {
        let (commit, size) = (EventId::new(), self.seed.within(1..=most));
        (0..size)
            .map(|index| {
                let length = self.seed.index(300);
                let filler = event(&mut self.seed, name, length);
                let mut payload = format!("{commit} {index} {size} ").into_bytes();
                payload.extend_from_slice(&filler.payload);
                NewEvent { id: EventId::new(), payload: payload.into(), ..filler }
            })
            .collect()
    }

    /// Single events and batches, some over two streams.
    async fn append_on(mut self) {
        loop {
            let name = self.name.clone();
            let mut events = self.commit(&name, 6);
            if self.seed.once_in(3) {
                events.iter_mut().step_by(2).for_each(|event| event.stream = stream("a-shared"));
            }
            self.send('w', Append::new(events)).await;
        }
    }

    /// Nobody else writes the stream, and nobody else uses the tags: no check can fail.
    async fn append_under_conditions(mut self) {
        let name = stream("c-1");
        let newest = Read::new(Query::stream(name.clone())).backwards().limit(1);
        let newest = events(&self.store, newest).await.unwrap();
        let mut version = newest.first().map_or(Version::NONE, |event| event.version);
        loop {
            let mut events = self.commit("c-1", 3);
            let tag = Tag::parse(format!("only:{}", EventId::new())).unwrap();
            events[0].tags.push(tag.clone());
            let unique = Check::NoMatch { query: Query::tags([tag]), after: None };
            let append = Append::new(events)
                .expect(name.clone(), Expected::Exactly(version))
                .expect(stream("never-1"), Expected::NoStream)
                .check(unique);
            let appended = self.send('c', append).await;
            version = appended.written.last().unwrap().version;
        }
    }

    /// One stream keeps a few events, one is truncated, and a category has a rule.
    async fn remove(mut self) {
        let retention = Retention { max_count: Some(KEPT), max_age: None };
        loop {
            let kept = self.commit("r-1", 3);
            let target = Retained::Stream(stream("r-1"));
            let mut append = Append::new(kept).change(StreamChange::Retain { target, retention });
            if self.seed.once_in(4) {
                let target = Retained::Category(Category::new("r").unwrap());
                append = append.change(StreamChange::Retain { target, retention });
            }
            self.send('w', append).await;
            let appended = self.send('w', Append::new(self.commit_of_two())).await;
            let version = appended.written.last().unwrap().version;
            let change = StreamChange::TruncateBefore { stream: stream("t-1"), version };
            self.store.append(Append::default().change(change)).await.unwrap();
            say(&format!("t {version}"));
        }
    }

    fn commit_of_two(&self) -> Vec<NewEvent> {
        let mut seed = self.seed.clone();
        (0..2).map(|_| NewEvent { id: EventId::new(), ..event(&mut seed, "t-1", 40) }).collect()
    }

    /// Reads what others write: versions have no holes.
    async fn read_on(self) {
        loop {
            let head = self.store.info().await.unwrap().head;
            let read =
                Read::new(category()).from(ReadFrom::After(mainspring_event::Position(head.0.saturating_sub(100))));
            let mut versions = HashMap::new();
            for found in events(&self.store, read).await.unwrap() {
                continues(&mut versions, found.event.stream.as_str(), found.version);
            }
            for _ in 0..200 {
                yield_now().await;
            }
        }
    }

    async fn send(&self, kind: char, append: Append) -> Appended {
        let events = append.events.clone();
        let appended = self.store.append(append).await.unwrap();
        let told = events.iter().zip(&appended.written).map(|(event, at)| {
            let checksum = crc32c::crc32c(&event.payload);
            format!("{kind} {} {} {} {} {checksum:08x}", event.stream, at.version, at.position, event.id)
        });
        say(&told.collect::<Vec<_>>().join(" "));
        appended
    }
}

/// The events of which none is ever removed.
fn category() -> Query {
    Query::category(Category::new("a").unwrap())
}

fn continues(versions: &mut HashMap<String, Version>, stream: &str, version: Version) {
    if let Some(before) = versions.insert(stream.to_owned(), version) {
        assert_eq!(version.0, before.0 + 1, "a hole in {stream}");
    }
}

async fn follow(store: DiskStore) {
    let mut versions = HashMap::new();
    let mut batches = store.read(Read::new(category()).from(ReadFrom::End).follow());
    while let Some(batch) = batches.next().await {
        for event in batch.unwrap().iter() {
            continues(&mut versions, event.stream, event.version);
        }
    }
}
