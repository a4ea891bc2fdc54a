//! Real processes that are killed: a client that holds messages, and a server with everything under way.
//!
//! A child is this test program again, told by the environment to run one test as its role and for which socket.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod world;

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use mainspring_broker::{Broker, BrokerError, Limit, MemoryBroker, SendError, SettleError};
use mainspring_broker_socket::{ConnectError, Server, SocketBroker};

use world::{World, batch, eventually, orders, within};

/// Names the socket to a child.
const SOCKET: &str = "MAINSPRING_TEST_SOCKET";

/// What a child says when it is where it should be killed.
const READY: &str = "ready to be killed";

/// A child that is where it should be killed.
struct Killable(Child);

impl Killable {
    fn start(role: &str, socket: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args([role, "--exact", "--nocapture"]).env(SOCKET, socket).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(READY)), "the child got where it should be killed");
        Self(child)
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn role() -> Option<PathBuf> {
    env::var_os(SOCKET).map(PathBuf::from)
}

/// Says where it is and waits for its end.
async fn ready() {
    println!("{READY}");
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_gives_back_what_it_held_and_has_tried_it() {
    if let Some(socket) = role() {
        let broker = SocketBroker::connect(socket).await.unwrap();
        let spec = mainspring_broker::SubscriptionSpec::new("billing".parse().unwrap());
        let (mut deliveries, _settler) = broker.subscribe(spec).await.unwrap();
        batch(&mut *deliveries, 4).await;
        return ready().await;
    }
    let world = World::new().await;
    let client = world.connect().await;
    world.stored(&client, orders(10)).await;
    for killed in 1..=3 {
        let path = world.path();
        let role = "a_killed_client_gives_back_what_it_held_and_has_tried_it";
        let child = tokio::task::spawn_blocking(move || Killable::start(role, &path)).await.unwrap();
        let admin = client.admin().unwrap();
        assert_eq!(admin.groups().await.unwrap()[0].in_flight, 4);
        child.kill();
        eventually(async || admin.groups().await.unwrap()[0].members == 0).await;
        let (mut deliveries, _settler) = client.subscribe(world.spec()).await.unwrap();
        let all = batch(&mut *deliveries, 10).await;
        // Each round is an attempt of this test, too.
        let more: u32 = all.iter().map(|delivery| delivery.attempt - killed).sum();
        assert_eq!(more, 4 * killed, "what a killed client held was tried, and nothing else");
        drop(deliveries);
        drop(_settler);
        eventually(async || admin.groups().await.unwrap()[0].members == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_is_noticed_and_its_socket_replaced() {
    if let Some(socket) = role() {
        let _world = World::serve(|broker| Arc::new(world::Slow::silent(broker)), &socket).await;
        return ready().await;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    let socket = path.clone();
    let role = "a_killed_server_is_noticed_and_its_socket_replaced";
    let child = tokio::task::spawn_blocking(move || Killable::start(role, &socket)).await.unwrap();
    let client = SocketBroker::connect(&path).await.unwrap();
    let under_way = client.send(orders(2)).await.unwrap();
    let spec = mainspring_broker::SubscriptionSpec::new("billing".parse().unwrap());
    let (mut deliveries, settler) = client.subscribe(spec).await.unwrap();
    let waiting = tokio::spawn(async move { deliveries.next(Limit::messages(1)).await.map(|_| ()) });
    child.kill();

    let answers = within(under_way).await;
    assert!(matches!(answers[..], [Err(SendError::Unknown(_)), Err(SendError::Unknown(_))]), "{answers:?}");
    assert!(matches!(within(waiting).await.unwrap(), Err(BrokerError::Closed)));
    let tag = mainspring_broker::DeliveryTag { number: 1, epoch: 1 };
    let settled = within(settler.extend(&[tag], std::time::Duration::from_secs(1))).await;
    assert!(matches!(settled[..], [Err(SettleError::Unknown(_))]), "{settled:?}");
    assert!(path.exists(), "a killed server takes nothing away");
    let refused = SocketBroker::connect(&path).await.expect_err("nobody is there");
    let BrokerError::Failed(source) = refused else { panic!("{refused:?}") };
    assert!(matches!(source.downcast_ref(), Some(ConnectError::Nobody { .. })), "{source:?}");

    let server = Server::serve(Arc::new(MemoryBroker::new()), &path).await.expect("the dead one is replaced");
    SocketBroker::connect(&path).await.unwrap();
    server.stop().await.unwrap();
}
