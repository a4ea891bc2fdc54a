//! A served broker with one topic and one group, and short ways to use it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    Admin, Binding, Broker, BrokerError, Capabilities, Confirmations, Deliveries, Delivery, Destination, Drift, Ensure,
    Limit, MemoryBroker, Message, Next, SendError, Settler, Subscription, SubscriptionSpec, Topic, Topology,
};
use mainspring_broker_socket::{Server, SocketBroker};
use tempfile::TempDir;
use tokio::time;

/// Longer than anything takes unless something is wrong.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A server, and where it serves.
pub(crate) struct World {
    directory: TempDir,
    pub(crate) server: Server,
    pub(crate) spec: SubscriptionSpec,
    asked: Arc<AtomicBool>,
}

impl World {
    /// With the reference model behind the socket.
    pub(crate) async fn new() -> Self {
        Self::with(|broker| Arc::new(broker)).await
    }

    /// With a broker that confirms nothing.
    pub(crate) async fn slow() -> Self {
        let asked = Arc::new(AtomicBool::new(false));
        let told = asked.clone();
        let silent = move |inner| -> Arc<dyn Broker> { Arc::new(Slow { asked: told, ..Slow::silent(inner) }) };
        Self { asked, ..Self::with(silent).await }
    }

    pub(crate) async fn with(of: impl FnOnce(MemoryBroker) -> Arc<dyn Broker>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Self::serve(of, &directory.path().join("broker.sock")).await;
        let spec = SubscriptionSpec::new("billing".parse().unwrap()).prefetch(10_000, usize::MAX);
        Self { directory, server, spec, asked: Arc::default() }
    }

    /// The server alone.
    pub(crate) async fn serve(of: impl FnOnce(MemoryBroker) -> Arc<dyn Broker>, path: &Path) -> Server {
        let broker = MemoryBroker::new();
        let topology = Topology::new()
            .topic(Topic::new("orders".parse().unwrap()))
            .subscription(Subscription::new("billing".parse().unwrap(), [Binding::all("orders".parse().unwrap())]));
        broker.ensure(&topology, Ensure::Create).await.unwrap();
        Server::serve(of(broker), path).await.unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        let path: &Path = self.directory.path();
        path.join("broker.sock")
    }

    pub(crate) fn spec(&self) -> SubscriptionSpec {
        self.spec.clone()
    }

    /// Whether a member waits for what comes next.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    pub(crate) async fn connect(&self) -> SocketBroker {
        SocketBroker::connect(self.path()).await.unwrap()
    }

    pub(crate) async fn stored(&self, broker: &SocketBroker, messages: Vec<Message>) {
        let answers = within(within(broker.send(messages)).await.unwrap()).await;
        assert!(answers.iter().all(Result::is_ok));
    }
}

pub(crate) async fn within<T>(future: impl IntoFuture<Output = T>) -> T {
    time::timeout(LONG, future.into_future()).await.expect("it does not take so long")
}

/// Waits for a condition.
pub(crate) async fn eventually(is: impl AsyncFn() -> bool) {
    let begin = Instant::now();
    while !is().await {
        assert!(begin.elapsed() < LONG, "it did not come to pass");
        tokio::task::yield_now().await;
    }
}

pub(crate) fn order(body: &str) -> Message {
    Message::new("orders".parse().unwrap(), body.to_owned())
}

pub(crate) fn orders(count: usize) -> Vec<Message> {
    (0..count).map(|number| order(&number.to_string())).collect()
}

/// So many messages.
pub(crate) async fn batch(deliveries: &mut dyn Deliveries, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        match within(deliveries.next(Limit::messages(count - taken.len()))).await.unwrap() {
            Next::Batch(batch) => taken.extend(batch),
            other => panic!("messages must come, not {other:?}"),
        }
    }
    taken
}

/// A broker that confirms nothing, or does not even admit anything, and whose members get nothing.
pub(crate) struct Slow {
    inner: MemoryBroker,
    is_full: bool,
    asked: Arc<AtomicBool>,
}

impl Slow {
    pub(crate) fn silent(inner: MemoryBroker) -> Self {
        Self { inner, is_full: false, asked: Arc::default() }
    }

    pub(crate) fn full(inner: MemoryBroker) -> Self {
        Self { is_full: true, ..Self::silent(inner) }
    }
}

struct Nothing(Arc<AtomicBool>);

#[async_trait]
impl Deliveries for Nothing {
    async fn next(&mut self, _: Limit) -> Result<Next, BrokerError> {
        self.0.store(true, Ordering::Release);
        std::future::pending().await
    }
}

#[async_trait]
impl Broker for Slow {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        assert!(mode == Ensure::Create, "this broker cannot compare");
        self.inner.ensure(topology, mode).await
    }

    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        self.inner.capabilities(of).await
    }

    async fn send(&self, _: Vec<Message>) -> Result<Confirmations, SendError> {
        if self.is_full {
            std::future::pending::<()>().await;
        }
        Ok(Confirmations::later(std::future::pending()))
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        let (_, settler) = self.inner.subscribe(spec).await?;
        Ok((Box::new(Nothing(self.asked.clone())), settler))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        self.inner.admin()
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.inner.close(deadline).await
    }
}
