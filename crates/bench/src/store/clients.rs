//! Clients that append in slices: each makes its events, appends them, and waits for its answer before it makes more.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use mainspring::{
    Store,
    event::{Position, Tag, Version},
    store::{Append, Check, Expected, Query},
};

use super::source::{Repeated, Source};
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
}

struct Client {
    source: Repeated,
    condition: Condition,
    /// Where the client last wrote for each customer.
    written: HashMap<Tag, Position>,
}

impl Clients {
    pub(super) fn new(count: usize, batch: usize, condition: Condition, derived_ids: bool) -> anyhow::Result<Self> {
        let client = |number| {
            let source = Source::new("order", number, count)?;
            let source = if derived_ids { source.derived_ids() } else { source };
            Ok(Client { source: source.repeated()?, condition, written: HashMap::new() })
        };
        Ok(Self { clients: (0..count).map(client).collect::<anyhow::Result<_>>()?, batch })
    }

    /// Appends for one slice; answers events a second and how long each append took.
    ///
    /// Events are made just before they are appended, as services do. While one of several clients does so the others append,
    /// so that it counts; one alone is measured while it appends.
    pub(super) async fn slice(&mut self, store: &Store) -> anyhow::Result<(f64, Vec<Duration>)> {
        let begun = Instant::now();
        let (until, batch) = (begun + SLICE, self.batch);
        let running: Vec<_> = self
            .clients
            .drain(..)
            .map(|client| {
                let store = store.clone();
                tokio::spawn(async move { client.append_until(&store, batch, until).await })
            })
            .collect();
        let mut latencies = Vec::new();
        for finished in try_join_all(running).await? {
            let (client, taken) = finished?;
            latencies.extend(taken);
            self.clients.push(client);
        }
        let alone = self.clients.len() == 1;
        let time = if alone { latencies.iter().sum() } else { begun.elapsed() };
        Ok(((latencies.len() * self.batch) as f64 / time.as_secs_f64(), latencies))
    }
}

impl Client {
    fn make(&mut self, batch: usize) -> Append {
        let mut append = Append::default();
        for _ in 0..batch {
            let (event, version) = self.source.event();
            if self.condition == Condition::Versions {
                let expected = Expected::Exactly(Version(version));
                append.checks.push(Check::Stream { stream: event.stream.clone(), expected });
            }
            append.events.push(event);
        }
        if self.condition == Condition::NoMatch {
            let customer = append.events[0].tags[0].clone();
            let after = self.written.get(&customer).copied();
            append.checks.push(Check::NoMatch { query: Query::tags([customer]), after });
        }
        append
    }

    /// Appends until the slice ends.
    async fn append_until(
        mut self,
        store: &Store,
        batch: usize,
        until: Instant,
    ) -> anyhow::Result<(Self, Vec<Duration>)> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let append = self.make(batch);
            let customers = self.customers(&append);
            let begun = Instant::now();
            let appended = store.append(append).await?;
            latencies.push(begun.elapsed());
            for customer in customers {
                self.written.insert(customer, appended.position);
            }
        }
        Ok((self, latencies))
    }

    /// Whom the append writes, where conditions ask for that.
    fn customers(&self, append: &Append) -> Vec<Tag> {
        match self.condition {
            Condition::NoMatch => append.events.iter().map(|event| event.tags[0].clone()).collect(),
            Condition::None | Condition::Versions => Vec::new(),
        }
    }
}
