//! A store of many segments: opening reads their headers, look-ups touch only those that hold what is asked for, and what
//! becomes of the derived files changes no answer.

use std::{ops::RangeInclusive, sync::Arc};

use futures_util::StreamExt;
use mainspring_event::{EventId, NewEvent, StoredEvent, Tag, Version};
use mainspring_sim::{Operation, SimDisk, Unsynced};
use mainspring_store::{
    Append, AppendError, Check, EventStore, Expected, MemoryStore, Query, Read, ReadError, ReadFrom,
};
use mainspring_store_disk::{Disk, DiskStore};

use crate::kit::{block_on, clock, in_place, replayable, stream, wait_for};

const NEEDLE: &str = "needle-1";

/// Beyond the header of an index, which says at this offset where its first section begins.
const FIRST_SECTION: usize = 80;

/// A closed store of small segments, each with three events, and the same history in the reference model.
struct Haystack {
    disk: SimDisk,
    model: MemoryStore,
}

impl Haystack {
    /// So many events, the needles at these places among them.
    async fn of(events: usize, needles: &[usize]) -> Self {
        let (disk, clock) = (SimDisk::new(1), clock());
        let model = MemoryStore::with_clock(clock.clone());
        let store = replayable(4096, &clock).open_on(Arc::new(disk.clone())).unwrap();
        for number in 0..events {
            let append = Append::new([straw_or_needle(number, needles.contains(&number))]);
            assert_eq!(store.append(append.clone()).await.unwrap(), model.append(append).await.unwrap());
        }
        store.close().unwrap();
        Self { disk: disk.crash(Unsynced::Kept), model }
    }

    fn copy(&self) -> SimDisk {
        self.disk.if_crashed(Unsynced::Kept)
    }

    /// The numbers of the sealed segments, and whether each has a needle.
    fn sealed(&self) -> Vec<(u32, bool)> {
        let has_needle = |number: u32| {
            let log = self.disk.contents(&format!("{number:08}.log")).unwrap();
            log.windows(NEEDLE.len()).any(|bytes| bytes == NEEDLE.as_bytes())
        };
        names(&self.disk, ".idx").iter().map(|name| name[..8].parse().unwrap()).map(|n| (n, has_needle(n))).collect()
    }

    /// The same store, with nothing behind the headers of these sealed segments and of their indexes that can be read.
    fn spoiled(&self, spoil: impl Fn(bool) -> bool) -> SimDisk {
        let disk = self.copy();
        for (number, _) in self.sealed().into_iter().filter(|(_, needle)| spoil(*needle)) {
            disk.tamper(&format!("{number:08}.log"), |log| log[64..].fill(0xff));
            disk.tamper(&format!("{number:08}.idx"), |index| {
                let head = u64::from_le_bytes(index[FIRST_SECTION..FIRST_SECTION + 8].try_into().unwrap());
                index[usize::try_from(head).unwrap()..].fill(0xff);
            });
        }
        disk
    }

    /// Whether a store answers what is read as the model does.
    async fn compare(&self, store: &DiskStore, reads: impl IntoIterator<Item = Read>) {
        for read in reads {
            let (here, there) =
                (whole(store, read.clone()).await.unwrap(), whole(&self.model, read.clone()).await.unwrap());
            let ids = |events: &[StoredEvent]| events.iter().map(|event| event.event.id).collect::<Vec<_>>();
            assert!(here.0 == there.0, "{read:?}: {:?}, not {:?}", ids(&here.0), ids(&there.0));
            // Where a limit ends a read, stores may know of more or less that lies between it and the next match.
            assert!(read.limit.is_some() || (here.1, here.2) == (there.1, there.2), "{read:?}: through {}", here.1);
        }
    }
}

fn id(number: usize) -> EventId {
    EventId::derived(&["haystack", &number.to_string()])
}

fn straw_or_needle(number: usize, needle: bool) -> NewEvent {
    let name = if needle { NEEDLE.to_owned() } else { format!("straw-{}", number % 97) };
    let tags = if needle { vec![Tag::parse("found:needle").unwrap()] } else { Vec::new() };
    let event = NewEvent::json(stream(&name), "Happened".parse().unwrap(), vec![b'x'; 1_100]);
    NewEvent { id: id(number), time: jiff::Timestamp::UNIX_EPOCH, tags, ..event }
}

/// Reads of every kind that are about the needle alone.
fn reads() -> Vec<Read> {
    let by_tag = Query::tags([Tag::parse("found:needle").unwrap()]);
    let mut reads = Vec::new();
    for query in [Query::stream(stream(NEEDLE)), by_tag, Query::Ids(vec![id(0), id(33), id(34), id(700)])] {
        for read in [Read::new(query.clone()), Read::new(query.clone()).limit(2)] {
            reads.extend([read.clone(), read.from(ReadFrom::End).backwards()]);
        }
    }
    for version in 0..=8 {
        let read = Read::new(Query::stream(stream(NEEDLE))).from(ReadFrom::Version(Version(version)));
        reads.extend([read.clone(), read.backwards()]);
    }
    reads
}

/// The events of a read and where it ended; on the way it only moves on.
async fn whole(store: &dyn EventStore, read: Read) -> Result<(Vec<StoredEvent>, u64, bool), ReadError> {
    let backwards = read.direction == mainspring_store::Direction::Backwards;
    let mut batches = store.read(read);
    let (mut events, mut through, mut caught_up) = (Vec::new(), None, false);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        let here = batch.through().0;
        assert!(through.is_none_or(|before| if backwards { here <= before } else { here >= before }));
        (through, caught_up) = (Some(here), batch.caught_up());
        events.extend(batch.iter().map(|event| event.to_stored().unwrap()));
    }
    Ok((events, through.unwrap(), caught_up))
}

fn names(disk: &SimDisk, end: &str) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(end)).collect()
}

/// The segments that each run is about, in order.
fn runs(disk: &SimDisk) -> Vec<RangeInclusive<u32>> {
    let range = |name: &String| name[..8].parse().unwrap()..=name[9..17].parse().unwrap();
    let mut runs: Vec<_> = names(disk, ".dir").iter().map(range).collect();
    runs.sort_by_key(|run| *run.start());
    runs
}

/// The runs that there are when nothing is left to be done: as many of each size as the digits of a number to the base 8.
fn complete(sealed: u32) -> Vec<RangeInclusive<u32>> {
    let (mut runs, mut next) = (Vec::new(), 1);
    for size in [512, 64, 8, 1] {
        while sealed + 1 - next >= size {
            runs.push(next..=next + size - 1);
            next += size;
        }
    }
    runs
}

#[test]
fn opening_reads_the_headers_of_sealed_segments_and_nothing_else() {
    let opened = |events| {
        let haystack = block_on(Haystack::of(events, &[]));
        let disk = haystack.spoiled(|_| true);
        for run in names(&disk, ".dir") {
            disk.tamper(&run, |bytes| bytes[192..].fill(0xff));
        }
        let before: Vec<_> = names(&disk, ".idx").iter().map(|name| disk.contents(name)).collect();
        let disk = disk.crash(Unsynced::Kept);
        let store = replayable(4096, &clock()).open_on(Arc::new(disk.clone())).unwrap();
        let (read, mapped) = (disk.count(Operation::Read), disk.count(Operation::Map));
        let (_, head, _) = block_on(whole(&store, Read::new(Query::All).from(ReadFrom::End))).unwrap();
        assert_eq!(head, events as u64);
        drop(store);
        let after: Vec<_> = names(&disk, ".idx").iter().map(|name| disk.contents(name)).collect();
        assert_eq!(before, after, "nothing of what cannot be read was missed");
        let sealed = haystack.sealed().len() as u64;
        (sealed, read, mapped - runs(&disk).len() as u64)
    };
    let (few, many) = (opened(40), opened(400));
    assert!(many.0 > few.0 + 100, "{few:?} {many:?}");
    assert_eq!(many.1 - few.1, many.0 - few.0, "one read for each log");
    assert_eq!(many.2 - few.2, 2 * (many.0 - few.0), "log and index are mapped, which reads nothing");
}

#[test]
fn a_stream_among_many_segments_is_found_without_touching_the_others() {
    block_on(async {
        let haystack = Haystack::of(1_000, &[1, 33, 34, 35, 290, 700, 995]).await;
        let sealed = haystack.sealed();
        let (segments, with) = (sealed.len(), sealed.iter().filter(|(_, needle)| *needle).count());
        assert!(segments > 300 && (4..=7).contains(&with), "{with} of {segments} segments have a needle");
        assert_eq!(runs(&haystack.disk), complete(u32::try_from(segments).unwrap()));
        let disk = haystack.spoiled(|needle| !needle);
        // Ids of straw are in segments that cannot be read.
        let ids = |read: &Read| matches!(read.query, Query::Ids(_));
        let store = in_place(4096, &clock()).open_on(Arc::new(disk.clone())).unwrap();
        haystack.compare(&store, reads().into_iter().filter(|read| !ids(read))).await;
        haystack.compare(&store, [Read::new(Query::Ids(vec![id(33), id(700), id(5_000)]))]).await;
        let tag = Tag::parse("found:nowhere").unwrap();
        let append = Append::new([straw_or_needle(2_000, true)])
            .expect(stream(NEEDLE), Expected::Exactly(Version(7)))
            .expect(stream("unheard-of"), Expected::NoStream)
            .check(Check::NoMatch { query: Query::tags([tag]), after: None });
        let (here, there) = (store.append(append.clone()).await, haystack.model.append(append).await);
        assert_eq!(here.unwrap(), there.unwrap());
        let read = whole(&store, Read::new(Query::All)).await;
        assert!(matches!(read, Err(ReadError::Damaged(_))), "the others really cannot be read: {read:?}");
        // The same without the directory asks every segment.
        let bare = haystack.spoiled(|needle| !needle);
        names(&bare, ".dir").iter().for_each(|run| bare.remove(run).unwrap());
        let bare = in_place(4096, &clock()).open_on(Arc::new(bare)).unwrap();
        let read = whole(&bare, Read::new(Query::stream(stream(NEEDLE)))).await;
        assert!(matches!(read, Err(ReadError::Damaged(_))), "{read:?}");
    });
}

#[test]
fn ids_that_are_not_time_ordered_are_recognised_in_every_segment() {
    block_on(async {
        let haystack = Haystack::of(400, &[1, 33, 290]).await;
        let store = in_place(4096, &clock()).open_on(Arc::new(haystack.copy())).unwrap();
        for number in 0..400 {
            let again = Append::new([straw_or_needle(number, [1, 33, 290].contains(&number))]);
            assert_eq!(store.append(again.clone()).await.unwrap(), haystack.model.append(again).await.unwrap());
            let other = NewEvent { payload: "other".into(), ..straw_or_needle(number, false) };
            let refused = store.append(Append::new([other])).await;
            assert!(
                matches!(refused, Err(AppendError::IdReused { id: reused, .. }) if reused == id(number)),
                "{refused:?}"
            );
        }
        assert_eq!(store.info().await.unwrap().head.0, 400);
        store.append(Append::new([straw_or_needle(400, false)])).await.unwrap();
    });
}

/// Whether a byte of a small run means something: the others are between its sections.
fn is_used(run: &[u8], offset: usize) -> bool {
    let number = |at: usize| usize::try_from(u64::from_le_bytes(run[at..][..8].try_into().unwrap())).unwrap();
    let mut sections = [64, 88, 112]
        .map(|at| (number(at), 64 * number(at + 16) + 12 * number(at + 8) + 4 * number(at + 8).min(1)))
        .into_iter();
    offset < 192 || sections.any(|(begin, length)| (begin..begin + length).contains(&offset))
}

#[test]
fn a_run_that_is_damaged_missing_or_stale_is_written_again() {
    block_on(async {
        let haystack = Haystack::of(75, &[1, 33, 34, 40, 50, 51, 70]).await;
        // What is there is asked for too, so that no page stays unread behind its filter.
        let straws = (0..75).map(|number| Read::new(Query::stream(stream(&format!("straw-{number}")))));
        let ids = Read::new(Query::Ids((0..75).map(id).collect()));
        let reads = || reads().into_iter().chain(straws.clone()).chain([ids.clone()]);
        let original = haystack.copy();
        let all = names(&original, ".dir");
        assert_eq!(runs(&original), complete(u32::try_from(haystack.sealed().len()).unwrap()));
        let other = Haystack::of(75, &[2]).await;
        for run in &all {
            let bytes = original.contents(run).unwrap();
            let mut spoilings: Vec<Spoiling<'_>> = vec![
                Box::new(|disk| disk.remove(run).unwrap()),
                Box::new(|disk| disk.tamper(run, Vec::clear)),
                Box::new(|disk| disk.tamper(run, |bytes| bytes.truncate(bytes.len() - 1))),
                Box::new(|disk| disk.tamper(run, |bytes| *bytes = other.disk.contents(run).unwrap())),
                Box::new(|disk| all.iter().for_each(|run| disk.remove(run).unwrap())),
            ];
            for offset in (0..bytes.len()).step_by(bytes.len() / 17).filter(|offset| is_used(&bytes, *offset)) {
                spoilings.push(Box::new(move |disk| disk.tamper(run, |bytes| bytes[offset] ^= 4)));
            }
            for (number, spoil) in spoilings.iter().enumerate() {
                let disk = haystack.copy();
                spoil(&disk);
                let store = in_place(4096, &clock()).open_on(Arc::new(disk.clone())).unwrap();
                haystack.compare(&store, reads()).await;
                let same = || all.iter().all(|run| disk.contents(run) == original.contents(run));
                wait_for(&format!("{run}, spoiled in way {number}, is not written again"), same);
                haystack.compare(&store, reads()).await;
                drop(store);
                assert_eq!(runs(&disk), runs(&original));
            }
        }
    });
}

/// Something that becomes of the files of a directory.
type Spoiling<'a> = Box<dyn Fn(&SimDisk) + 'a>;

/// Power goes at every change of a store that writes and merges runs, and of the recovery from that.
#[test]
fn runs_are_whole_wherever_power_goes() {
    const EVENTS: usize = 32;
    let needles = [1, 7, 8, 20, 31];
    let append = |number: usize| Append::new([straw_or_needle(number, needles.contains(&number))]);
    let mut boundaries = 0;
    for stop in 1.. {
        let disk = SimDisk::new(stop);
        disk.stop_at(stop);
        let acknowledged = block_on(async {
            let Ok(store) = replayable(4096, &clock()).open_on(Arc::new(disk.clone())) else { return 0 };
            let mut acknowledged = 0;
            while acknowledged < EVENTS && store.append(append(acknowledged)).await.is_ok() {
                acknowledged += 1;
            }
            acknowledged
        });
        if !disk.has_stopped() {
            break;
        }
        boundaries += 1;
        let left = disk.crash([Unsynced::Kept, Unsynced::Dropped, Unsynced::Random][stop as usize % 3]);
        if stop % 5 == 0 {
            // And again while it recovers.
            left.stop_at(1 + stop / 5 % 12);
            drop(replayable(4096, &clock()).open_on(Arc::new(left.clone())));
        }
        let left = left.crash(Unsynced::Random);
        block_on(async {
            let store = replayable(4096, &clock()).open_on(Arc::new(left.clone())).unwrap();
            let at = |what: &str| format!("power went in change {stop}: {what}");
            let head = usize::try_from(store.info().await.unwrap().head.0).unwrap();
            assert!(head >= acknowledged && head <= acknowledged + 1, "{}", at("acknowledged events are gone"));
            let sealed = u32::try_from(names(&left, ".idx").len()).unwrap();
            assert_eq!(runs(&left), complete(sealed), "{}", at("the directory is not complete"));
            let expected: Vec<_> = needles.iter().filter(|number| **number < head).map(|number| id(*number)).collect();
            let (found, through, _) = whole(&store, Read::new(Query::stream(stream(NEEDLE)))).await.unwrap();
            assert_eq!(found.iter().map(|event| event.event.id).collect::<Vec<_>>(), expected, "{}", at("needles"));
            assert_eq!(through, head as u64);
            for number in 0..EVENTS {
                let appended = store.append(append(number)).await.unwrap();
                assert_eq!(appended.position.0, number as u64 + 1, "{}", at("a repeated event"));
            }
        });
    }
    println!("{boundaries} boundaries");
    assert!(boundaries > 150, "only {boundaries} boundaries");
}
