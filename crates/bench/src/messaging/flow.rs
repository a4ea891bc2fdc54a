//! Messages that flow through groups: publishers send in batches and wait while too much is unhandled, and each group's
//! handler counts.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use mainspring_broker::{Broker, Confirmations, Destination, Message, Order};
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_messaging::{Raw, RunError, State, Subscription, Subscriptions};
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::{BODY, TOPIC};

/// So many batches of a publisher are on their way at once.
const UNCONFIRMED: usize = 4;

/// Publishers hear of every so many handled messages; batches are multiples of it.
const NEWS: u64 = 64;

/// How messages flow.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) groups: usize,
    /// Handlers of a group at once.
    pub(super) concurrency: usize,
    pub(super) publishers: usize,
    /// Messages of one send.
    pub(super) batch: usize,
    /// The slowest group has at most so many to go.
    pub(super) unhandled: u64,
}

/// What the groups have handled.
struct Handled {
    counts: Vec<AtomicU64>,
    news: Notify,
}

impl Handled {
    /// Of the slowest group.
    fn least(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Acquire)).min().unwrap_or(0)
    }

    /// Waits until every group has come so far.
    async fn reach(&self, count: u64) {
        loop {
            let news = self.news.notified();
            if self.least() >= count {
                return;
            }
            news.await;
        }
    }
}

/// One group's part of the counts.
#[derive(Clone)]
struct Group {
    handled: Arc<Handled>,
    number: usize,
}

async fn count(_: Raw, State(Group { handled, number }): State<Group>) {
    let count = handled.counts[number].fetch_add(1, Ordering::Release) + 1;
    if count.is_multiple_of(NEWS) {
        handled.news.notify_waiters();
    }
}

/// Groups at work, and publishers that can be let loose.
pub(super) struct Flow {
    broker: Arc<EmbeddedBroker>,
    shape: Shape,
    handled: Arc<Handled>,
    sent: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), RunError>>,
}

impl Flow {
    pub(super) async fn start(broker: Arc<EmbeddedBroker>, shape: Shape) -> anyhow::Result<Self> {
        let counts = (0..shape.groups).map(|_| AtomicU64::new(0)).collect();
        let handled = Arc::new(Handled { counts, news: Notify::new() });
        let mut subscriptions = Subscriptions::new(());
        for number in 0..shape.groups {
            let on = Subscription::new(TOPIC, format!("group-{number}")).order(Order::Unordered);
            let group = Group { handled: handled.clone(), number };
            subscriptions = subscriptions.merge(Subscriptions::new(group).on(on.concurrency(shape.concurrency), count));
        }
        let (_, runner) = subscriptions.prepare(broker.clone()).await?;
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(runner.run(async move {
            // Whoever drops the other end wants it to stop, too.
            let _ = stopped.await;
        }));
        Ok(Self { broker, shape, handled, sent: Arc::default(), stop, running })
    }

    /// Sends for so long and waits until everything is handled; messages a second.
    pub(super) async fn slice(&self, time: Duration) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let before = self.sent.load(Ordering::Relaxed);
        self.publish(move |_| begun.elapsed() < time).await?;
        let sent = self.sent.load(Ordering::Relaxed);
        self.handled.reach(sent).await;
        Ok((sent - before) as f64 / begun.elapsed().as_secs_f64())
    }

    /// Sends until so many were sent since the beginning and waits until everything is handled; messages a second.
    pub(super) async fn send(&self, messages: u64) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let before = self.sent.load(Ordering::Relaxed);
        self.publish(move |sent| sent < messages).await?;
        let sent = self.sent.load(Ordering::Relaxed);
        self.handled.reach(sent).await;
        Ok((sent - before) as f64 / begun.elapsed().as_secs_f64())
    }

    /// How many were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    async fn publish(&self, go_on: impl Fn(u64) -> bool + Clone + Send + 'static) -> anyhow::Result<()> {
        let publishers = (0..self.shape.publishers).map(|_| {
            let publisher = Publishing {
                broker: self.broker.clone(),
                shape: self.shape,
                handled: self.handled.clone(),
                sent: self.sent.clone(),
            };
            tokio::spawn(publisher.run(go_on.clone()))
        });
        for ended in try_join_all(publishers).await? {
            ended?;
        }
        Ok(())
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        // The runner may have ended, which its result says.
        let _ = self.stop.send(());
        Ok(self.running.await??)
    }
}

/// One publisher.
struct Publishing {
    broker: Arc<EmbeddedBroker>,
    shape: Shape,
    handled: Arc<Handled>,
    sent: Arc<AtomicU64>,
}

impl Publishing {
    async fn run(self, go_on: impl Fn(u64) -> bool) -> anyhow::Result<()> {
        let topic: Destination = TOPIC.parse()?;
        let batch = self.shape.batch as u64;
        let mut unconfirmed = VecDeque::with_capacity(UNCONFIRMED);
        while go_on(self.sent.load(Ordering::Relaxed)) {
            let sent = self.sent.fetch_add(batch, Ordering::Relaxed) + batch;
            self.handled.reach(sent.saturating_sub(self.shape.unhandled)).await;
            let message = |_| Message::new(topic.clone(), Bytes::from(vec![0x5a; BODY]));
            unconfirmed.push_back(self.broker.send((0..batch).map(message).collect()).await?);
            if unconfirmed.len() == UNCONFIRMED
                && let Some(oldest) = unconfirmed.pop_front()
            {
                confirmed(oldest).await?;
            }
        }
        for sent in unconfirmed {
            confirmed(sent).await?;
        }
        Ok(())
    }
}

async fn confirmed(sent: Confirmations) -> anyhow::Result<()> {
    for answer in sent.await {
        answer?;
    }
    Ok(())
}
