//! What only a socket can suffer: strangers, cuts, processes that die, clients that are stuck.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod world;

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    sync::Arc,
    time::{Duration, Instant},
};

use mainspring_broker::{
    Broker, BrokerError, CommitError, Ensure, Limit, MemoryBroker, Next, Outcome, SendError, SettleError, Topology,
};
use mainspring_broker_socket::{ConnectError, ServeError, Server, SocketBroker};

use world::{LONG, Slow, World, batch, eventually, order, orders, within};

/// The first words of a client of this version.
const HELLO: &[u8] = b"MSBROKER\x01\0\0\0";

/// A raw connection that has said these words, and what it is answered.
fn stranger(world: &World, says: &[u8]) -> (UnixStream, Vec<u8>) {
    let mut stream = UnixStream::connect(world.path()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(says).unwrap();
    let mut answer = vec![0; 14];
    let length = stream.read(&mut answer).unwrap_or(0);
    answer.truncate(length);
    (stream, answer)
}

/// Waits until the server has cut a raw connection.
async fn is_cut(mut stream: UnixStream) {
    let ended = tokio::task::spawn_blocking(move || {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).is_ok() || rest.is_empty()
    });
    assert!(within(ended).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_connect() {
    let world = World::new().await;
    let mode = fs::metadata(world.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_living_server_is_named_and_not_replaced() {
    let world = World::new().await;
    let second = Server::serve(Arc::new(MemoryBroker::new()), world.path()).await;
    let error = second.expect_err("two servers cannot serve at one place");
    assert!(matches!(error, ServeError::Living { .. }), "{error:?}");
    assert!(error.to_string().contains(world.path().to_str().unwrap()), "{error}");
    assert!(world.connect().await.capabilities(&"orders".parse().unwrap()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_listens_without_a_lock_is_not_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let error = Server::serve(Arc::new(MemoryBroker::new()), &path).await.expect_err("the place is taken");
    assert!(matches!(error, ServeError::Living { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_process_has_left_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("broker.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a socket stays when its listener dies");
    let refused = SocketBroker::connect(&path).await.expect_err("nobody listens");
    assert!(refused_by(&refused, |error| matches!(error, ConnectError::Nobody { .. })), "{refused:?}");
    let server = Server::serve(Arc::new(MemoryBroker::new()), &path).await.unwrap();
    assert!(SocketBroker::connect(&path).await.is_ok());
    server.stop().await.unwrap();
    assert!(!path.exists(), "a server that is stopped takes its socket away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_socket_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("precious");
    fs::write(&path, "data").unwrap();
    let error = Server::serve(Arc::new(MemoryBroker::new()), &path).await.expect_err("there is a file");
    assert!(matches!(error, ServeError::Occupied { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), b"data");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_deep_directory_is_no_obstacle() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("d".repeat(120)).join("e".repeat(120));
    fs::create_dir_all(&deep).unwrap();
    let path = deep.join("broker.sock");
    let server = Server::serve(Arc::new(MemoryBroker::new()), &path).await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let second = Server::serve(Arc::new(MemoryBroker::new()), &path).await;
    assert!(matches!(second, Err(ServeError::Living { .. })));
    SocketBroker::connect(&path).await.unwrap();
    server.stop().await.unwrap();
    let long = directory.path().join("f".repeat(200));
    let error = Server::serve(Arc::new(MemoryBroker::new()), &long).await.expect_err("the name is too long");
    assert!(matches!(error, ServeError::Listen { .. }), "{error:?}");
}

fn refused_by(error: &BrokerError, is: impl Fn(&ConnectError) -> bool) -> bool {
    matches!(error, BrokerError::Failed(source) if source.downcast_ref().is_some_and(is))
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_told_so_on_both_sides() {
    let world = World::new().await;
    let (stream, answer) = stranger(&world, b"MSBROKER\x63\0\0\0");
    assert_eq!(answer, b"MSBROKER\x01\0\0\0\x01\x01");
    is_cut(stream).await;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("later.sock");
    let later = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = later.accept().unwrap();
        let mut hello = [0; 12];
        stream.read_exact(&mut hello).unwrap();
        stream.write_all(b"MSBROKER\x63\0\0\0\x01\x01").unwrap();
        hello
    });
    let error = SocketBroker::connect(&path).await.expect_err("the versions differ");
    assert!(refused_by(&error, |error| matches!(error, ConnectError::OtherVersion { ours: 1, theirs: 99, .. })));
    assert_eq!(served.join().unwrap(), HELLO);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_connection_only() {
    let world = World::new().await;
    let client = world.connect().await;
    let frame = |content: &[u8]| [HELLO, &u32::try_from(content.len()).unwrap().to_le_bytes(), content].concat();
    let garbage: [Vec<u8>; 7] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        vec![0xff; 4_096],
        frame(b""),
        frame(b"\x01\xfa"),
        frame(b"\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        // A question of a member on a connection that is none.
        frame(b"\x01\x10\x01\x01"),
        // What is announced is longer than a frame may be.
        [HELLO, &u32::MAX.to_le_bytes(), &[0; 64]].concat(),
    ];
    for says in garbage {
        let (stream, _) = stranger(&world, &says);
        is_cut(stream).await;
    }
    world.stored(&client, orders(3)).await;
    let (mut deliveries, _settler) = client.subscribe(world.spec()).await.unwrap();
    assert_eq!(batch(&mut *deliveries, 3).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_says_nothing_is_cut() {
    let world = World::new().await;
    let stream = UnixStream::connect(world.path()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    is_cut(stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_a_frame_is_refused_and_nothing_is_sent() {
    let world = World::new().await;
    let client = world.connect().await;
    let large = order("").header("h", vec![0; 25 << 20]);
    let error = client.send(vec![large]).await.expect_err("a frame takes less");
    assert!(matches!(error, SendError::TooLarge { limit, .. } if limit == 24 << 20), "{error:?}");
    let many = vec![order(""); 70_000];
    let error = client.send(many).await.expect_err("a list has fewer");
    assert!(matches!(error, SendError::TooLarge { actual: 70_000, .. }), "{error:?}");
    world.stored(&client, orders(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_cut_gives_everything_back_and_has_tried_it() {
    let world = World::new().await;
    let (killed, other) = (world.connect().await, world.connect().await);
    world.stored(&killed, orders(10)).await;
    let (mut deliveries, settler) = killed.subscribe(world.spec()).await.unwrap();
    let held = batch(&mut *deliveries, 4).await;
    assert!(settler.settle(vec![(held[0].tag, Outcome::Ack)]).await[0].is_ok());
    drop((deliveries, settler, killed));
    let (mut deliveries, _settler) = other.subscribe(world.spec()).await.unwrap();
    let mut attempts: Vec<_> = batch(&mut *deliveries, 9).await.iter().map(|delivery| delivery.attempt).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 1, 1, 1, 1, 2, 2, 2]);
}

/// Connects by hand and asks without ever reading: what is answered was never handed over, so it was not tried.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_client_had_not_read_was_not_tried() {
    let world = World::new().await;
    let client = world.connect().await;
    world.stored(&client, orders(5)).await;
    let mut raw = UnixStream::connect(world.path()).unwrap();
    let subscribe = b"\x01\x03\x07billing\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1e\0";
    let next = b"\x02\x10\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    let mut says = HELLO.to_vec();
    for frame in [&subscribe[..], &next[..]] {
        says.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        says.extend(frame);
    }
    raw.write_all(&says).unwrap();
    let admin = client.admin().unwrap();
    eventually(async || admin.groups().await.unwrap()[0].in_flight == 5).await;
    drop(raw);
    eventually(async || admin.groups().await.unwrap()[0].in_flight == 0).await;
    let (mut deliveries, _settler) = client.subscribe(world.spec()).await.unwrap();
    let again = batch(&mut *deliveries, 5).await;
    assert!(again.iter().all(|delivery| delivery.attempt == 1), "what nobody has read was not tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_compete_and_each_message_comes_once() {
    let world = World::new().await;
    let clients = [world.connect().await, world.connect().await];
    world.stored(&clients[0], orders(500)).await;
    let work = clients.iter().map(async |client| {
        let (mut deliveries, settler) = client.subscribe(world.spec()).await.unwrap();
        let mut handled = Vec::new();
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_millis(300) {
            let next = tokio::time::timeout(Duration::from_millis(50), deliveries.next(Limit::messages(7))).await;
            let Ok(Ok(Next::Batch(batch))) = next else { continue };
            quiet = Instant::now();
            let outcomes = batch.iter().map(|delivery| (delivery.tag, Outcome::Ack)).collect();
            assert!(settler.settle(outcomes).await.iter().all(Result::is_ok));
            handled.extend(batch.iter().map(|delivery| (delivery.message.body.clone(), delivery.attempt)));
        }
        handled
    });
    let mut handled: Vec<_> = within(futures_util::future::join_all(work)).await.into_iter().flatten().collect();
    handled.sort();
    handled.dedup();
    assert_eq!(handled.len(), 500, "each message comes once");
    assert!(handled.iter().all(|(_, attempt)| *attempt == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_in_the_middle_of_everything_is_told_by_class() {
    let world = World::slow().await;
    let client = world.connect().await;
    let early = client.send(orders(1)).await.expect("it is admitted");
    let (mut deliveries, settler) = client.subscribe(world.spec()).await.unwrap();
    let tag = mainspring_broker::DeliveryTag { number: 1, epoch: 1 };
    let waiting = tokio::spawn(async move { deliveries.next(Limit::messages(1)).await.map(|_| ()) });
    eventually(async || world.asked()).await;
    drop(world.server);
    assert!(matches!(within(early).await[..], [Err(SendError::Unknown(_))]), "it was under way");
    let next = within(waiting).await.unwrap();
    assert!(matches!(next, Err(BrokerError::Closed)), "{next:?}");
    let settled = within(settler.settle(vec![(tag, Outcome::Ack), (tag, Outcome::Release)])).await;
    assert!(matches!(settled[..], [Err(SettleError::Unknown(_)), Err(SettleError::Unknown(_))]), "{settled:?}");
    let committed = within(settler.commit(vec![(tag, Outcome::Ack)], orders(1))).await;
    assert!(matches!(committed, Err(CommitError::Unknown(_))), "{committed:?}");
    let late = within(client.send(orders(1))).await.expect_err("nobody is there");
    assert!(matches!(late, SendError::NotAttempted(_)), "{late:?}");
    let groups = client.admin().unwrap().groups().await;
    assert!(matches!(groups, Err(BrokerError::Closed)), "{groups:?}");
    let joined = client.subscribe(world.spec).await.map(|_| ());
    assert!(matches!(joined, Err(BrokerError::Failed(_))), "{joined:?}");
    client.close(Instant::now() + LONG).await.expect("nothing is left to be confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_messages_are_in_flight_while_another_client_is_stuck() {
    let world = World::new().await;
    let client = world.connect().await;
    world.stored(&client, orders(1_200)).await;
    // Asks for everything and reads nothing, over and over, on a connection of each kind.
    let mut stuck = UnixStream::connect(world.path()).unwrap();
    stuck.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    stuck.write_all(HELLO).unwrap();
    let browse = b"\x01\x05\x07billing\xff\x7f";
    let frame = [&u32::try_from(browse.len()).unwrap().to_le_bytes()[..], browse].concat();
    let mut written = 0;
    while stuck.write_all(&frame).is_ok() {
        written += 1;
        assert!(written < 1_000_000, "a client that does not read is not read for ever");
    }
    let (mut deliveries, settler) = client.subscribe(world.spec()).await.unwrap();
    let held = batch(&mut *deliveries, 1_000).await;
    let admin = client.admin().unwrap();
    assert_eq!(within(admin.groups()).await.unwrap()[0].in_flight, 1_000);
    let confirmations = futures_util::future::join_all((0..1_000).map(async |_| client.send(orders(1)).await));
    for admitted in within(confirmations).await {
        assert!(within(admitted.unwrap()).await[0].is_ok());
    }
    let settling = held.iter().map(|delivery| settler.settle(vec![(delivery.tag, Outcome::Ack)]));
    let settled = within(futures_util::future::join_all(settling)).await;
    assert!(settled.iter().all(|answers| answers[0].is_ok()));
    drop(stuck);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_client_leaves_the_broker_to_others() {
    let world = World::new().await;
    let (first, second) = (world.connect().await, world.connect().await);
    world.stored(&first, orders(2)).await;
    let (mut deliveries, _settler) = first.subscribe(world.spec()).await.unwrap();
    batch(&mut *deliveries, 1).await;
    first.close(Instant::now() + Duration::from_millis(20)).await.unwrap();
    assert!(matches!(within(deliveries.next(Limit::messages(1))).await, Ok(Next::Closed)));
    let (mut deliveries, _settler) = second.subscribe(world.spec()).await.unwrap();
    assert_eq!(batch(&mut *deliveries, 2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_waits_for_admission_holds_up_nothing_else() {
    let world = World::with(|broker| Arc::new(Slow::full(broker))).await;
    let client = world.connect().await;
    let waiting = client.send(orders(1));
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err(), "there is no room");
    assert!(within(client.capabilities(&"orders".parse().unwrap())).await.is_ok());
    assert_eq!(within(client.admin().unwrap().groups()).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_too_many_is_told_so() {
    let world = World::new().await;
    let taken: Vec<_> = (0..256).map(|_| stranger(&world, HELLO)).collect();
    assert!(taken.iter().all(|(_, answer)| answer == b"MSBROKER\x01\0\0\0\0\x01"));
    let error = SocketBroker::connect(world.path()).await.expect_err("there are 256");
    assert!(refused_by(&error, |error| matches!(error, ConnectError::Full { .. })), "{error:?}");
    drop(taken);
    eventually(async || SocketBroker::connect(world.path()).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_ends_its_connection_and_is_told_at_the_end() {
    let world = World::with(|broker| Arc::new(Slow::silent(broker))).await;
    let (client, other) = (world.connect().await, world.connect().await);
    let ensured = within(client.ensure(&Topology::new(), Ensure::Verify)).await;
    assert!(matches!(ensured, Err(BrokerError::Closed)), "{ensured:?}");
    assert!(within(other.ensure(&Topology::new(), Ensure::Create)).await.is_ok(), "others go on");
    let stopped = within(world.server.stop()).await;
    assert!(matches!(stopped, Err(ServeError::Panicked { count: 1, .. })), "{stopped:?}");
}

/// What comes after `next` was dropped goes to whoever asks, and was not tried.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_stopped_waiting_takes_nothing_from_others() {
    let world = World::new().await;
    let client = world.connect().await;
    let (mut fickle, quick) = client.subscribe(world.spec()).await.unwrap();
    let (mut patient, slow) = client.subscribe(world.spec()).await.unwrap();
    let mut came_in_time = 0;
    for round in 0..300 {
        // It is given up at every moment between the question and its answer.
        let patience = async {
            for _ in 0..round {
                tokio::task::yield_now().await;
            }
        };
        let glance = async {
            tokio::select! {
                biased;
                next = fickle.next(Limit::messages(1)) => Some(next),
                () = patience => None,
            }
        };
        let (next, sent) = tokio::join!(glance, client.send(orders(1)));
        assert!(within(sent.unwrap()).await[0].is_ok());
        let (held, settler) = match next {
            Some(Ok(Next::Batch(mut held))) => {
                came_in_time += 1;
                (held.remove(0), &quick)
            }
            Some(other) => panic!("messages must come, not {other:?}"),
            None => (batch(&mut *patient, 1).await.remove(0), &slow),
        };
        assert_eq!(held.attempt, 1, "what nobody took was not tried");
        assert!(settler.settle(vec![(held.tag, Outcome::Ack)]).await[0].is_ok());
    }
    assert!(came_in_time < 300, "a question that is never given up is no test");
}
