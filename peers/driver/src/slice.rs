//! One slice: clients that append what was prepared until the time is over, each waiting for its acknowledgement.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{Peer, event::Source};

/// What the benchmark asks for.
#[derive(Deserialize)]
pub(crate) struct Order {
    clients: usize,
    batch: usize,
    millis: u64,
}

/// What came of it.
#[derive(Serialize)]
pub(crate) struct Outcome {
    events: usize,
    seconds: f64,
    /// How long each append took, in nanoseconds.
    latencies: Vec<u64>,
}

/// The clients of each shape, with what they have prepared; they live as long as the driver.
pub(crate) struct Clients<A> {
    shapes: HashMap<(usize, usize), Vec<Client<A>>>,
    /// How many clients there have been, so that each begins at a stream of its own.
    made: usize,
}

impl<A> Default for Clients<A> {
    fn default() -> Self {
        Self { shapes: HashMap::new(), made: 0 }
    }
}

struct Client<A> {
    source: Source,
    prepared: VecDeque<A>,
    /// How many to prepare for the next slice.
    wanted: usize,
}

impl<A: Send + 'static> Clients<A> {
    pub(crate) async fn run<P: Peer<Append = A>>(&mut self, peer: &Arc<P>, order: Order) -> anyhow::Result<Outcome> {
        let made = &mut self.made;
        let clients = self.shapes.entry((order.clients, order.batch)).or_insert_with(|| {
            *made += order.clients;
            let first = *made - order.clients;
            let client = |number| Client { source: Source::new(first + number), prepared: VecDeque::new(), wanted: 64 };
            (0..order.clients).map(client).collect()
        });
        for client in clients.iter_mut() {
            while client.prepared.len() < client.wanted {
                client.prepared.push_back(peer.prepare(client.source.events(order.batch))?);
            }
        }
        let begun = Instant::now();
        let until = begun + Duration::from_millis(order.millis);
        let running: Vec<_> =
            clients.drain(..).map(|client| tokio::spawn(client.append_until(Arc::clone(peer), until))).collect();
        let mut latencies = Vec::new();
        for client in running {
            let (client, taken) = client.await??;
            latencies.extend(taken);
            clients.push(client);
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Outcome { events: latencies.len() * order.batch, seconds, latencies })
    }
}

impl<A: Send + 'static> Client<A> {
    async fn append_until<P: Peer<Append = A>>(
        mut self,
        peer: Arc<P>,
        until: Instant,
    ) -> anyhow::Result<(Self, Vec<u64>)> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let Some(append) = self.prepared.pop_front() else { break };
            let begun = Instant::now();
            peer.append(append).await?;
            latencies.push(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        self.wanted = self.wanted.max(latencies.len() * 3 / 2);
        Ok((self, latencies))
    }
}
