//! Power goes, operations fail and the disk runs full while space is freed: nothing that is retained is lost, nothing that
//! was removed comes back, and nothing is left behind.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mainspring_conformance::Seed;
use mainspring_event::{Position, Tag, Version};
use mainspring_sim::{Fault, Operation, SimDisk, Unsynced};
use mainspring_store::{
    Append, AppendError, Check, Conflict, EventStore, Expected, MemoryStore, Query, Retained, Retention, StreamChange,
};
use mainspring_store_disk::{DiskStore, FindingKind, ScavengeError, verify_on};

use crate::{
    kit::{all, block_on, clock, event, replayable, stream},
    truth::Truth,
    workload::{STREAMS, Workload},
};

/// A store with much to remove, as it lies on the disk, and what must always be true of it.
pub(crate) struct Scene {
    truth: Truth,
    pub(crate) disk: SimDisk,
    /// Where each stream stands.
    heads: BTreeMap<&'static str, Version>,
    /// The highest position of an event with tags that is not retained.
    floor: Position,
}

impl Scene {
    /// Plays a workload; frees space after so many of its steps, if at all.
    pub(crate) async fn after(seed: u64, freed_after: Option<usize>) -> Self {
        let truth = Truth::of(Workload::removing(seed)).await;
        let (disk, clock) = (SimDisk::new(seed), clock());
        let model = MemoryStore::with_clock(clock.clone());
        let store = replayable(1024, &clock).open_on(Arc::new(disk.clone())).unwrap();
        for (number, step) in truth.workload.steps.iter().enumerate() {
            for append in step {
                store.append(append.clone()).await.unwrap();
                model.append(append.clone()).await.unwrap();
            }
            clock.advance(Duration::from_secs(1));
            if freed_after == Some(number) {
                store.scavenge().await.unwrap();
            }
        }
        drop(store);
        let heads = heads(&model).await;
        let floor = stale_after(&model, Position::START).await.expect("events with tags are not retained");
        Self { truth, disk: disk.crash(Unsynced::Kept), heads, floor }
    }

    /// The scenes in which space is freed for the first time, and again.
    async fn all() -> [Self; 2] {
        [Self::after(1, None).await, Self::after(2, Some(12)).await]
    }

    /// A copy of the disk that no other store uses.
    pub(crate) fn disk(&self) -> SimDisk {
        self.disk.if_crashed(Unsynced::Kept)
    }

    /// The store on `disk` is as it must be. It takes checks, but nothing is written to it.
    async fn check(&self, store: &DiskStore) -> Result<(), String> {
        let end = self.truth.workload.appends().count();
        self.truth.find(store, end..=end).await?;
        let found = heads(store).await;
        if found != self.heads {
            return Err(format!("the streams must stand at {:?}, not at {found:?}", self.heads));
        }
        let floor = stale_after(store, Position::START).await;
        let at_floor = stale_after(store, self.floor).await;
        if (floor, at_floor) != (Some(self.floor), None) {
            return Err(format!("decisions below {} must be stale: {floor:?}, {at_floor:?}", self.floor));
        }
        Ok(())
    }

    /// What a crash left is as it must be. If `thorough`, it is also whole and can go on.
    async fn check_left(&self, left: &SimDisk, thorough: bool) -> Result<(), String> {
        let store = open(left)?;
        self.check(&store).await?;
        if !thorough {
            return Ok(());
        }
        store.scavenge().await.map_err(|error| format!("no space can be freed: {error:?}"))?;
        self.check(&store).await.map_err(|what| format!("after freeing space again: {what}"))?;
        drop(store);
        let verified = verify_on(Arc::new(left.clone())).map_err(|error| format!("{error:?}"))?;
        if !verified.is_intact() || verified.findings.iter().any(|finding| finding.kind == FindingKind::IndexMissing) {
            return Err(format!("{verified:?}"));
        }
        // The log alone says everything.
        let indexes = names(left).into_iter().filter(|name| name.ends_with(".idx"));
        indexes.for_each(|name| mainspring_store_disk::Disk::remove(left, &name).unwrap());
        let store = open(left)?;
        self.check(&store).await.map_err(|what| format!("without its indexes: {what}"))?;
        store.append(next()).await.map(drop).map_err(|error| format!("it takes no events: {error:?}"))
    }
}

pub(crate) fn open(disk: &SimDisk) -> Result<DiskStore, String> {
    let store = replayable(1024, &clock()).open_on(Arc::new(disk.clone()));
    store.map_err(|error| format!("it cannot be opened: {error:?}"))
}

/// An append that nobody else makes.
fn next() -> Append {
    Append::new([event(&mut Seed::new(77), "e-1", 10)])
}

/// Where the streams stand that are not closed, by what a check says of them.
async fn heads(store: &dyn EventStore) -> BTreeMap<&'static str, Version> {
    let mut heads = BTreeMap::new();
    for name in STREAMS {
        let nowhere = Append::default().expect(stream(name), Expected::Exactly(Version(u64::MAX)));
        match store.append(nowhere).await {
            Err(AppendError::Conflict(Conflict::Stream { actual, .. })) => drop(heads.insert(name, actual)),
            Err(AppendError::Tombstoned { .. }) => {}
            answer => panic!("{name} is at {answer:?}"),
        }
    }
    heads
}

/// Up to where a decision made at `after` must be made anew.
async fn stale_after(store: &dyn EventStore, after: Position) -> Option<Position> {
    let query = Query::tags([Tag::parse("none:1").unwrap()]);
    match store.append(Append::default().check(Check::NoMatch { query, after: Some(after) })).await {
        Ok(_) => None,
        Err(AppendError::Stale { floor }) => Some(floor),
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) fn names(disk: &SimDisk) -> Vec<String> {
    let mut names = mainspring_store_disk::Disk::list(disk).unwrap();
    names.sort_unstable();
    names
}

/// The bytes of all segments and indexes.
fn bytes(disk: &SimDisk) -> u64 {
    let files = names(disk).into_iter().filter(|name| name.ends_with(".log") || name.ends_with(".idx"));
    files.map(|name| disk.contents(&name).unwrap().len() as u64).sum()
}

/// The files that opening would find superfluous, but for runs of the directory, which are merged beside.
pub(crate) fn garbage(disk: &SimDisk) -> Vec<String> {
    let left = disk.if_crashed(Unsynced::Kept);
    left.set_capacity(None);
    drop(open(&left).unwrap());
    let live = names(&left);
    names(disk).into_iter().filter(|name| !live.contains(name) && !name.ends_with(".dir")).collect()
}

#[test]
fn nothing_is_lost_wherever_power_goes() {
    block_on(async {
        for (number, scene) in Scene::all().await.into_iter().enumerate() {
            let mut boundaries = 0;
            for stop in 1.. {
                let disk = scene.disk();
                let store = open(&disk).unwrap();
                disk.stop_at(disk.changes() + stop);
                let freed = store.scavenge().await;
                if !disk.has_stopped() {
                    let freed = freed.unwrap();
                    assert!(freed.rewritten > 3 && freed.removed > 0 && freed.events > 20, "{freed:?}");
                    break;
                }
                boundaries += 1;
                let outcomes = [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random, Unsynced::Random];
                for (outcome, unsynced) in outcomes.into_iter().enumerate() {
                    let left = disk.crash(unsynced);
                    let thorough = (stop as usize + outcome).is_multiple_of(4);
                    let checked = scene.check_left(&left, thorough).await;
                    checked.unwrap_or_else(|what| {
                        panic!("scene {number}, power went in change {stop} ({unsynced:?}): {what}")
                    });
                }
            }
            println!("scene {number}: {boundaries} boundaries");
            assert!(boundaries > 40, "only {boundaries}");
        }
    });
}

#[test]
fn any_operation_may_fail() {
    use Operation::{Create, Map, Open, Remove, Rename, Size, Sync, SyncEntries, Write};
    block_on(async {
        let scene = Scene::after(3, Some(12)).await;
        let whole = scene.disk();
        let store = open(&whole).unwrap();
        let kinds = [Create, Write, Sync, Rename, SyncEntries, Remove, Open, Size, Map];
        let before = kinds.map(|kind| whole.count(kind));
        store.scavenge().await.unwrap();
        for (kind, before) in kinds.into_iter().zip(before) {
            assert!(whole.count(kind) > before, "freeing space never uses {kind:?}");
            for number in 0..whole.count(kind) - before {
                fail(&scene, kind, number).await.unwrap_or_else(|what| panic!("{kind:?} {number}: {what}"));
            }
        }
    });
}

/// Lets one operation fail while space is freed.
async fn fail(scene: &Scene, kind: Operation, number: u64) -> Result<(), String> {
    let disk = scene.disk();
    let store = open(&disk)?;
    disk.inject(Fault::on(kind).after(number));
    let freed = store.scavenge().await;
    // What was not removed, and what was only measured, is no reason to fail.
    if freed.is_ok() && !matches!(kind, Operation::Remove | Operation::Open | Operation::Size) {
        return Err("nobody is told".to_owned());
    }
    scene.check(&store).await?;
    for (outcome, unsynced) in [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random].into_iter().enumerate() {
        let left = disk.if_crashed(unsynced);
        let thorough = (number as usize + outcome).is_multiple_of(6);
        scene.check_left(&left, thorough).await.map_err(|what| format!("after a crash ({unsynced:?}): {what}"))?;
    }
    disk.heal();
    let again = store.scavenge().await;
    if matches!(again, Err(ScavengeError::InDoubt)) {
        if !matches!(kind, Operation::Rename | Operation::SyncEntries) {
            return Err("only a manifest that was not published leaves doubt".to_owned());
        }
    } else {
        again.map_err(|error| format!("not even afterwards: {error:?}"))?;
        if kind != Operation::Remove && !garbage(&disk).is_empty() {
            return Err(format!("{:?} were left behind", garbage(&disk)));
        }
    }
    // Roll-overs go on from the manifest that scavenging has left, whichever that is.
    let mut seed = Seed::new(number);
    for _ in 0..20 {
        let append = Append::new([event(&mut seed, "a-9", 200)]);
        store.append(append).await.map_err(|error| format!("it takes no events: {error:?}"))?;
    }
    let shown = all(&store).await;
    drop(store);
    let left = disk.crash(Unsynced::Dropped);
    let store = open(&left)?;
    if all(&store).await != shown { Err("it is another history afterwards".to_owned()) } else { Ok(()) }
}

#[test]
fn a_full_disk_keeps_everything_and_leaves_nothing_behind() {
    block_on(async {
        let scene = Scene::after(4, None).await;
        let (mut full, mut freed) = (0, 0);
        for room in (0..6_000).step_by(97) {
            let disk = scene.disk();
            let store = open(&disk).unwrap();
            let before = bytes(&disk);
            disk.set_capacity(Some(disk.used() + room));
            match store.scavenge().await {
                Ok(done) => {
                    freed += 1;
                    assert_eq!(before - bytes(&disk), done.bytes, "with room for {room} bytes");
                }
                Err(ScavengeError::Io(error)) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error:?}");
                    full += 1;
                }
                Err(error) => panic!("{error:?}"),
            }
            assert_eq!(garbage(&disk), [""; 0], "with room for {room} bytes");
            scene.check(&store).await.unwrap_or_else(|what| panic!("with room for {room} bytes: {what}"));
            disk.set_capacity(Some(disk.used() + 100_000));
            store.append(next()).await.expect("appends go on");
        }
        println!("{full} full, {freed} freed");
        assert!(full > 5 && freed > 5, "{full} full, {freed} freed");
    });
}

#[test]
fn segments_of_which_nothing_is_left_need_no_room() {
    block_on(async {
        let (disk, mut seed) = (SimDisk::new(5), Seed::new(5));
        let store = open(&disk).unwrap();
        let retention = Retention { max_count: Some(1), max_age: None };
        let target = Retained::Stream(stream("$r-1"));
        store.append(Append::new([event(&mut seed, "a-1", 900)])).await.unwrap();
        for _ in 0..20 {
            store.append(Append::new([event(&mut seed, "$r-1", 700)])).await.unwrap();
        }
        store.append(Append::default().change(StreamChange::Retain { target, retention })).await.unwrap();
        let before = bytes(&disk);
        // A manifest is longer than nothing.
        disk.set_capacity(Some(disk.used() + 5_000));
        let done = store.scavenge().await.unwrap();
        assert_eq!((done.removed, done.rewritten, done.events), (done.segments - 2, 0, 19));
        assert_eq!(before - bytes(&disk), done.bytes);
        assert_eq!(all(&store).await.len(), 1);
        assert_eq!(store.info().await.unwrap().first, Position(1));
        let tombstone = StreamChange::Tombstone { stream: stream("a-1") };
        store.append(Append::default().change(tombstone)).await.unwrap();
        store.scavenge().await.unwrap();
        assert_eq!(store.info().await.unwrap().first, Position(21), "the oldest event there is");
    });
}
