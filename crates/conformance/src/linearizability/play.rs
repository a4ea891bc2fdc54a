//! Many clients at once: what they ask follows from a seed, when they ask it from the machine.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use mainspring_event::{Position, StreamName, Version};
use mainspring_store::{Append, EventStore, Query, Read, ReadFrom};
use tokio::{task::yield_now, time};

use super::{
    Handle, Linearization, NotLinearizable, Patience,
    history::{Answer, Client, History, Machine},
    log::Log,
    order,
};
use crate::{
    law::join,
    sample::{in_category, in_streams, of_types, with_tags},
    seed::Seed,
};

mod writing;

use writing::Writer;

const WRITERS: u64 = 6;

/// Followers of these, one after the other.
fn followed(number: u64) -> Read {
    match number {
        0 => Read::new(Query::All),
        1 => Read::new(with_tags(&["k:1"])),
        2 => Read::new(in_category("a")).from(ReadFrom::End),
        _ => Read::new(in_streams(&["a-1", "$lease-1"])),
    }
}

const FOLLOWERS: u64 = 4;

/// Calls of many clients on one store, over all its lives.
pub struct ConcurrentHistory {
    history: Arc<History>,
    known: Arc<Known>,
    seed: Mutex<Seed>,
    machine: Machine,
    patience: Patience,
}

/// What clients tell each other outside the store. Nothing is judged by it: it only makes them meet.
#[derive(Default)]
struct Known {
    streams: Mutex<HashMap<StreamName, Version>>,
    /// Appends that were sent, to be sent again.
    sent: Mutex<Vec<Append>>,
    /// Appends of which it is not known what became of them.
    open: Mutex<Vec<Append>>,
    /// The highest position that was acknowledged.
    head: AtomicU64,
    /// Whether the writers are through.
    done: AtomicBool,
    /// What did not come in time.
    missed: Mutex<Vec<String>>,
}

impl ConcurrentHistory {
    /// A history without calls, for a store that waits no longer than `patience` for what must come.
    pub fn new(seed: u64, machine: Machine, patience: Patience) -> Self {
        let seed = Mutex::new(Seed::new(seed));
        Self { history: Arc::default(), known: Arc::default(), seed, machine, patience }
    }

    /// Lets writers make so many calls each, while others read and follow; every client has one of the handles. First each
    /// append is repeated of which an earlier life of the store left open what became of it. Where calls may fail, a writer
    /// ends early when the store takes no more.
    ///
    /// # Panics
    /// Never because of what the store answers: that is for [`judge`](Self::judge).
    pub async fn play(&self, handles: &[Handle], calls: u64) {
        self.known.done.store(false, Ordering::SeqCst);
        let client = |number: u64| {
            let store = handles[number as usize % handles.len()].clone();
            Client { history: self.history.clone(), store, number }
        };
        let followers: Vec<_> = (0..FOLLOWERS)
            .map(|number| tokio::spawn(follow(client(100 + number), self.known.clone(), number, self.patience)))
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|number| tokio::spawn(read_on(client(200 + number), self.known.clone(), self.seed(), calls)))
            .collect();
        let writers = (0..WRITERS).map(|number| {
            let writer = Writer { client: client(number), known: self.known.clone(), seed: self.seed() };
            tokio::spawn(writer.run(calls))
        });
        join(writers.collect::<Vec<_>>()).await;
        self.known.done.store(true, Ordering::SeqCst);
        join(readers).await;
        join(followers).await;
    }

    /// Looks for a linear order of everything so far, which led to what `store` holds now.
    ///
    /// # Errors
    /// [`NotLinearizable`] says what cannot be ordered.
    pub async fn judge(&self, store: &dyn EventStore) -> Result<Linearization, NotLinearizable> {
        let calls = self.history.calls().clone();
        let mut log = Log::of(store, &calls).await?;
        let found = order::find(&mut log, &calls, self.machine)?;
        match self.known.missed().first() {
            Some(missed) => Err(NotLinearizable::because(missed)),
            None => Ok(found),
        }
    }

    /// How many appends are there of which it is not known what became of them.
    pub fn open(&self) -> usize {
        self.known.open().len()
    }

    fn seed(&self) -> Seed {
        Seed::new(lock(&self.seed).draw())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn open(&self) -> MutexGuard<'_, Vec<Append>> {
        lock(&self.open)
    }

    fn missed(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.missed)
    }

    fn head(&self) -> Position {
        Position(self.head.load(Ordering::SeqCst))
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::SeqCst)
    }

    fn version(&self, stream: &StreamName) -> Version {
        lock(&self.streams).get(stream).copied().unwrap_or_default()
    }

    /// Notes what an answer says of streams.
    fn learn(&self, append: &Append, answer: &Answer) {
        let mut streams = lock(&self.streams);
        let mut learn = |stream: &StreamName, version: Version| {
            let known = streams.entry(stream.clone()).or_default();
            *known = version.max(*known);
        };
        match answer {
            Answer::Written(appended) => {
                self.head.fetch_max(appended.position.0, Ordering::SeqCst);
                append.events.iter().zip(&appended.written).for_each(|(event, at)| learn(&event.stream, at.version));
            }
            Answer::Conflict(mainspring_store::Conflict::Stream { stream, actual, .. }) => learn(stream, *actual),
            _ => {}
        }
    }
}

/// Follows until everything acknowledged has come, quickly or slowly.
async fn follow(client: Client, known: Arc<Known>, number: u64, patience: Patience) {
    let slow = number == 1;
    let mut reading = client.read(followed(number).follow());
    let mut through = Position::START;
    let mut idle = 0;
    while !known.is_done() || through < known.head() {
        // A follower that gets nothing looks from time to time whether there is anything to wait for.
        match time::timeout(patience.min(PAUSE), reading.next()).await {
            Ok(Some(next)) => (through, idle) = (next, 0),
            Ok(None) => return,
            Err(_) if !known.is_done() => {}
            Err(_) if PAUSE * idle < patience => idle += 1,
            Err(_) => {
                let what = format!("follower {number} came to {through} and not to {}, in {patience:?}", known.head());
                return known.missed().push(what);
            }
        }
        for _ in 0..if slow { 30 } else { 0 } {
            yield_now().await;
        }
    }
}

/// How often a follower looks up while nothing comes.
const PAUSE: Patience = Patience::from_millis(20);

/// Reads all kinds of things until the writers are through, or so often.
async fn read_on(client: Client, known: Arc<Known>, mut seed: Seed, times: u64) {
    for _ in 0..times {
        if known.is_done() {
            return;
        }
        if seed.once_in(4) {
            client.head().await;
        }
        let mut reading = client.read(some_read(&known, &mut seed));
        while reading.next().await.is_some() {
            yield_now().await;
        }
        for _ in 0..seed.within(0..=8) {
            yield_now().await;
        }
    }
}

/// A query that some events match.
fn some_query(seed: &mut Seed) -> Query {
    match seed.within(0..=5) {
        0 => Query::All,
        1 => with_tags(&[seed.pick(&["k:0", "k:1", "k:2"])]),
        2 => of_types(&["Moved"]),
        3 => in_category("b"),
        4 => in_streams(&["a-2", "$lease-1"]),
        _ => in_streams(&[seed.pick(&["a-1", "b-1", "$lease-1"])]),
    }
}

/// A finite read, mostly of what is new.
fn some_read(known: &Known, seed: &mut Seed) -> Read {
    let read = Read::new(some_query(seed));
    let head = known.head().0;
    let near = ReadFrom::After(Position(head.saturating_sub(seed.within(0..=40))));
    let read = match seed.within(0..=9) {
        0 => read,
        1 => read.from(ReadFrom::End),
        2 | 3 => read.backwards().limit(seed.within(1..=30)),
        4 => read.backwards(),
        5 => read.from(near).limit(seed.within(1..=9)),
        6 => Read::new(in_streams(&["a-1"])).from(ReadFrom::Version(Version(head / 12 + 1))),
        _ => read.from(near),
    };
    if seed.once_in(8) { read.limit(seed.within(1..=20)) } else { read }
}
