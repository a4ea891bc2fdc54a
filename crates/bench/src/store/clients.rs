//! Clients that append in slices: each waits for its answer before it appends again, and what it appends was made before.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use mainspring::{
    Store,
    event::{EventId, Position, StreamName, Tag, Version},
    store::{Append, Check, Expected, Query},
};

use super::Source;
use crate::paired::SLICE;

/// What appends depend on. Nobody else writes what they look at, so none is refused.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Condition {
    None,
    /// The version that the stream of each event is at.
    Versions,
    /// No event with the customer of the first event since the client last wrote one.
    NoMatch,
}

/// Clients of one kind.
pub(super) struct Clients {
    clients: Vec<Client>,
    batch: usize,
    derived_ids: bool,
}

struct Client {
    source: Source,
    condition: Condition,
    /// Where each stream will stand when everything prepared is appended.
    versions: HashMap<StreamName, u64>,
    /// Where the client last wrote for each customer.
    written: HashMap<Tag, Position>,
    prepared: VecDeque<Append>,
    /// How many to prepare for the next slice.
    wanted: usize,
}

impl Clients {
    pub(super) fn new(count: usize, batch: usize, condition: Condition, derived_ids: bool) -> anyhow::Result<Self> {
        let client = |number| {
            let source = Source::new("order", number, count)?;
            let source = if derived_ids { source.derived_ids() } else { source };
            Ok(Client {
                source,
                condition,
                versions: HashMap::new(),
                written: HashMap::new(),
                prepared: VecDeque::new(),
                wanted: 64,
            })
        };
        Ok(Self { clients: (0..count).map(client).collect::<anyhow::Result<_>>()?, batch, derived_ids })
    }

    /// Appends for one slice; answers events a second and how long each append took.
    pub(super) async fn slice(&mut self, store: &Store) -> anyhow::Result<(f64, Vec<Duration>)> {
        for client in &mut self.clients {
            client.prepare(self.batch)?;
        }
        if !self.derived_ids {
            self.renew_ids();
        }
        let begun = Instant::now();
        let until = begun + SLICE;
        let running: Vec<_> = self
            .clients
            .drain(..)
            .map(|client| {
                let store = store.clone();
                tokio::spawn(async move { client.append_until(&store, until).await })
            })
            .collect();
        let mut latencies = Vec::new();
        for finished in try_join_all(running).await? {
            let (client, taken) = finished?;
            latencies.extend(taken);
            self.clients.push(client);
        }
        Ok(((latencies.len() * self.batch) as f64 / begun.elapsed().as_secs_f64(), latencies))
    }
}

impl Clients {
    /// Gives all events new ids, about in the order in which they are going to be appended: a service makes an event just
    /// before it appends it.
    fn renew_ids(&mut self) {
        let most = self.clients.iter().map(|client| client.prepared.len()).max().unwrap_or_default();
        for turn in 0..most {
            let appends = self.clients.iter_mut().filter_map(|client| client.prepared.get_mut(turn));
            appends.flat_map(|append| &mut append.events).for_each(|event| event.id = EventId::new());
        }
    }
}

impl Client {
    fn prepare(&mut self, batch: usize) -> anyhow::Result<()> {
        while self.prepared.len() < self.wanted {
            let events = self.source.events(batch)?;
            let mut append = Append::new(events);
            match self.condition {
                Condition::None => {}
                Condition::Versions => {
                    for event in append.events.clone() {
                        let version = self.versions.entry(event.stream.clone()).or_default();
                        append = append.expect(event.stream, Expected::Exactly(Version(*version)));
                        *version += 1;
                    }
                }
                Condition::NoMatch => {
                    let query = Query::tags([append.events[0].tags[0].clone()]);
                    append = append.check(Check::NoMatch { query, after: None });
                }
            }
            self.prepared.push_back(append);
        }
        Ok(())
    }

    /// Appends what was prepared until the slice ends, or nothing is left.
    async fn append_until(mut self, store: &Store, until: Instant) -> anyhow::Result<(Self, Vec<Duration>)> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let Some(mut append) = self.prepared.pop_front() else { break };
            let customers = self.look(&mut append);
            let begun = Instant::now();
            let appended = store.append(append).await?;
            latencies.push(begun.elapsed());
            for customer in customers {
                self.written.insert(customer, appended.position);
            }
        }
        self.wanted = self.wanted.max(latencies.len() * 3 / 2);
        Ok((self, latencies))
    }

    /// Puts into a condition where its customer was last written; answers whom the append writes.
    fn look(&self, append: &mut Append) -> Vec<Tag> {
        let Append { events, checks, .. } = append;
        for check in checks {
            if let Check::NoMatch { after, .. } = check {
                *after = self.written.get(&events[0].tags[0]).copied();
            }
        }
        match self.condition {
            Condition::NoMatch => events.iter().map(|event| event.tags[0].clone()).collect(),
            Condition::None | Condition::Versions => Vec::new(),
        }
    }
}
