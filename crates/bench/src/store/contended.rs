//! Decisions that compete: read, decide, append under the condition that nothing was added since, again on a conflict.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::try_join_all};
use mainspring::{
    Store,
    event::{EventTypeName, NewEvent, Position, StreamName, Tag, Version},
    store::{Append, AppendError, Check, Expected, Query, Read, ReadFrom},
};

use super::source::PAYLOAD;
use crate::{
    Settings,
    paired::{Rounds, SLICE},
    table::{Bar, Row, Table},
};

/// How many clients decide at once.
const CLIENTS: usize = 64;

/// What keeps two decisions apart.
#[derive(Clone, Copy, PartialEq)]
enum Guard {
    /// A tag: no event has it after what the decision has read.
    Boundary,
    /// A stream: it is at the version that the decision has read.
    Stream,
}

const SHAPES: [(&str, Guard, usize, Bar); 6] = [
    ("decisions over 1 boundary, 64 clients", Guard::Boundary, 1, Bar::None),
    ("decisions over 10 boundaries, 64 clients", Guard::Boundary, 10, Bar::Ratio(1.2)),
    ("decisions over 1000 boundaries, 64 clients", Guard::Boundary, 1000, Bar::Ratio(1.2)),
    ("decisions over 1 stream, 64 clients", Guard::Stream, 1, Bar::None),
    ("decisions over 10 streams, 64 clients", Guard::Stream, 10, Bar::Ratio(1.2)),
    ("decisions over 1000 streams, 64 clients", Guard::Stream, 1000, Bar::Ratio(1.2)),
];

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    let wanted: Vec<_> = SHAPES.iter().filter(|(name, ..)| settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    table.section(
        "Contended decisions",
        "a decision reads what is new on a boundary (or stream) picked at random, appends one event under the condition \
         that nothing was added since, and begins again on a conflict; beside is one client alone on the same store; \
         latencies are of whole decisions. Every decision on a boundary has to see the one before it synced, so one boundary \
         takes one decision a sync from however many clients: it has no bar",
    );
    for &(name, guard, count, bar) in wanted {
        let store = super::open(directory, "contended")?;
        let mut many: Vec<_> =
            (0..CLIENTS).map(|number| Decider::new(guard, count, number)).collect::<anyhow::Result<_>>()?;
        let mut alone = vec![Decider::new(guard, count, CLIENTS)?];
        let mut rounds = Rounds::new(settings.rounds());
        let (mut conflicts, mut decisions) = (0, 0);
        while rounds.begin() {
            let ours = slice(&mut many, &store).await?;
            let beside = slice(&mut alone, &store).await?;
            (conflicts, decisions) = (conflicts + ours.conflicts, decisions + ours.latencies.len());
            rounds.end(&[ours.rate, beside.rate], ours.latencies);
        }
        let refused = conflicts as f64 / decisions as f64;
        let row = Row::of_rounds(name, "a second", rounds).beside_is("one client").bar(bar);
        table.print(row.note(&format!("{refused:.2} conflicts a decision")))?;
        drop(store);
        std::fs::remove_dir_all(directory.join("contended"))?;
    }
    Ok(())
}

/// What several clients came to in a slice.
struct Outcome {
    rate: f64,
    latencies: Vec<Duration>,
    conflicts: usize,
}

async fn slice(deciders: &mut Vec<Decider>, store: &Store) -> anyhow::Result<Outcome> {
    let begun = Instant::now();
    let until = begun + SLICE;
    let running: Vec<_> = deciders
        .drain(..)
        .map(|decider| {
            let store = store.clone();
            tokio::spawn(async move { decider.decide_until(&store, until).await })
        })
        .collect();
    let (mut latencies, mut conflicts) = (Vec::new(), 0);
    for finished in try_join_all(running).await? {
        let (decider, taken, refused) = finished?;
        latencies.extend(taken);
        conflicts += refused;
        deciders.push(decider);
    }
    let rate = latencies.len() as f64 / begun.elapsed().as_secs_f64();
    Ok(Outcome { rate, latencies, conflicts })
}

/// A client with what it knows of each boundary.
struct Decider {
    guard: Guard,
    event_type: EventTypeName,
    payload: Vec<u8>,
    boundaries: Vec<Boundary>,
    random: u64,
}

struct Boundary {
    tag: Tag,
    stream: StreamName,
    /// Everything up to here is known.
    through: Position,
    version: Version,
}

impl Decider {
    fn new(guard: Guard, count: usize, number: usize) -> anyhow::Result<Self> {
        let boundary = |key: usize| {
            Ok(Boundary {
                tag: Tag::new("account", key)?,
                // With a boundary, what a client writes goes to a stream of its own.
                stream: match guard {
                    Guard::Boundary => StreamName::of("client", number)?,
                    Guard::Stream => StreamName::of("account", key)?,
                },
                through: Position::START,
                version: Version::NONE,
            })
        };
        Ok(Self {
            guard,
            event_type: "Moved".parse()?,
            payload: vec![b'x'; PAYLOAD],
            boundaries: (0..count).map(boundary).collect::<anyhow::Result<_>>()?,
            random: number as u64 + 1,
        })
    }

    async fn decide_until(mut self, store: &Store, until: Instant) -> anyhow::Result<(Self, Vec<Duration>, usize)> {
        let (mut latencies, mut conflicts) = (Vec::new(), 0);
        while Instant::now() < until {
            let picked = self.pick();
            let begun = Instant::now();
            while !self.decide(store, picked).await? {
                conflicts += 1;
            }
            latencies.push(begun.elapsed());
        }
        Ok((self, latencies, conflicts))
    }

    /// The next boundary, by a fixed sequence (xorshift) that differs from client to client.
    fn pick(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 16) as usize % self.boundaries.len()
    }

    /// Reads, decides and appends once; answers whether it was taken.
    async fn decide(&mut self, store: &Store, picked: usize) -> anyhow::Result<bool> {
        let boundary = &mut self.boundaries[picked];
        let query = match self.guard {
            Guard::Boundary => Query::tags([boundary.tag.clone()]),
            Guard::Stream => Query::stream(boundary.stream.clone()),
        };
        let mut batches = store.read(Read::new(query.clone()).from(ReadFrom::After(boundary.through)));
        while let Some(batch) = batches.next().await {
            let batch = batch?;
            if let Some(event) = batch.iter().last() {
                boundary.version = event.version;
            }
            boundary.through = batch.through();
        }
        let mut event = NewEvent::json(boundary.stream.clone(), self.event_type.clone(), self.payload.clone());
        event.tags = vec![boundary.tag.clone()];
        let check = match self.guard {
            Guard::Boundary => Check::NoMatch { query, after: Some(boundary.through) },
            Guard::Stream => {
                Check::Stream { stream: boundary.stream.clone(), expected: Expected::Exactly(boundary.version) }
            }
        };
        match store.append(Append::new([event]).check(check)).await {
            Ok(appended) => {
                // The condition says that nothing lies between what was read and this.
                boundary.through = appended.position;
                boundary.version = appended.written[0].version;
                Ok(true)
            }
            Err(AppendError::Conflict(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
