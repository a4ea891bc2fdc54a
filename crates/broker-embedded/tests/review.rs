#![allow(missing_docs, unused)]
use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use mainspring_broker::*;
use mainspring_broker_embedded::{EmbeddedBroker, Options};
use mainspring_conformance::ManualClock;
use mainspring_event::{NewEvent, StreamName};
use mainspring_store::Append;
use mainspring_store::*;
use tokio::{sync::watch, time::timeout};

/// Delegates to a memory store; appends and reads can be held and made to fail.
struct Gate {
    inner: MemoryStore,
    control: Arc<Control>,
}
struct Control {
    held: watch::Sender<bool>,
    reads_held: watch::Sender<bool>,
    fail: AtomicUsize,
    turn: Arc<tokio::sync::Mutex<()>>,
    appends: AtomicUsize,
    reads: AtomicUsize,
}
impl Gate {
    fn new() -> (Store, Arc<Control>) {
        let control = Arc::new(Control {
            held: watch::Sender::new(false),
            reads_held: watch::Sender::new(false),
            fail: AtomicUsize::new(0),
            turn: Arc::default(),
            appends: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
        });
        (Store::new(Gate { inner: MemoryStore::new(), control: control.clone() }), control)
    }
}
#[async_trait]
impl EventStore for Gate {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let _turn = self.control.turn.lock().await;
        let mut held = self.control.held.subscribe();
        let _ = held.wait_for(|held| !held).await;
        self.control.appends.fetch_add(1, SeqCst);
        let fail = self.control.fail.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1)).is_ok();
        if fail {
            return Err(AppendError::Failed("disk full".into()));
        }
        self.inner.append(append).await
    }
    fn read(&self, read: Read) -> BatchStream {
        self.control.reads.fetch_add(1, SeqCst);
        let mut held = self.control.reads_held.subscribe();
        let inner = self.inner.read(read);
        async move {
            let _ = held.wait_for(|held| !held).await;
        }
        .into_stream()
        .map(|()| None)
        .chain(inner.map(Some))
        .filter_map(|x| async move { x })
        .boxed()
    }
    async fn info(&self) -> Result<Info, ReadError> {
        self.inner.info().await
    }
    fn capabilities(&self) -> mainspring_store::Capabilities {
        self.inner.capabilities()
    }
}

struct Counting {
    inner: ManualClock,
    calls: AtomicUsize,
}
impl Clock for Counting {
    fn now(&self) -> jiff::Timestamp {
        self.calls.fetch_add(1, SeqCst);
        self.inner.now()
    }
}

fn mem() -> Store {
    Store::new(MemoryStore::new())
}
fn to(name: &str) -> Destination {
    name.parse().unwrap()
}
fn sub(group: &str, topic: &str) -> Subscription {
    Subscription::new(group.parse().unwrap(), [Binding::all(to(topic))])
}
fn msg(topic: &str, body: &str) -> Message {
    Message::new(to(topic), body.to_owned())
}
fn spec(group: &str) -> SubscriptionSpec {
    SubscriptionSpec::new(group.parse().unwrap())
}
async fn soon<T>(f: impl Future<Output = T>) -> Option<T> {
    timeout(Duration::from_millis(400), f).await.ok()
}
async fn sent(b: &EmbeddedBroker, m: Message) -> Result<Receipt, SendError> {
    b.send(vec![m]).await?.await.pop().unwrap()
}
fn bodies(n: &Next) -> Vec<String> {
    match n {
        Next::Batch(b) => b
            .iter()
            .map(|d| String::from_utf8_lossy(&d.message.body[..d.message.body.len().min(20)]).into_owned())
            .collect(),
        o => panic!("{o:?}"),
    }
}
async fn take(d: &mut Box<dyn Deliveries>, n: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < n {
        match soon(d.next(Limit::messages(n - all.len()))).await {
            Some(x) => all.extend(bodies(&x.unwrap())),
            None => break,
        }
    }
    all
}

// 1
#[tokio::test]
async fn ensure_and_send_at_once() {
    let broker = EmbeddedBroker::open(mem()).await.unwrap();
    broker.ensure(&Topology::new().topic(Topic::log(to("a"), 1)), Ensure::Create).await.unwrap();
    let more = Topology::new().topic(Topic::log(to("b"), 1));
    let (ensured, one) = tokio::join!(broker.ensure(&more, Ensure::Create), sent(&broker, msg("a", "1")));
    println!("{ensured:?} {one:?}");
    sent(&broker, msg("a", "2")).await.expect("the broker still works");
}

// 2
#[tokio::test]
async fn a_conflict_of_the_user_leaves_the_schedule_usable() {
    let broker = EmbeddedBroker::open(mem()).await.unwrap();
    let t = Topology::new().topic(Topic::log(to("a"), 1)).topic(Topic::log(to("b"), 1)).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (_d, settler) = broker.subscribe(spec("g")).await.unwrap();
    let stream = StreamName::of("order", 1).unwrap();
    let refused = Append::new([NewEvent::json(stream.clone(), "X".parse().unwrap(), "{}")])
        .expect(stream, Expected::Exactly(mainspring_event::Version(7)));
    let later = msg("a", "later").delay(Duration::from_secs(3600));
    let (refused, other) = tokio::join!(
        settler.in_store().unwrap().append(refused, vec![], vec![later.clone()]),
        sent(&broker, msg("b", "1"))
    );
    println!("{refused:?} {other:?}");
    for _ in 0..3 {
        println!("{:?}", sent(&broker, later.clone()).await);
    }
    sent(&broker, later).await.expect("can be scheduled");
}

// 3
#[tokio::test]
async fn two_seeks_at_once() {
    let store = mem();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let t = Topology::new().topic(Topic::log(to("a"), 1)).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    sent(&broker, msg("a", "1")).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    let Next::Batch(b) = d.next(Limit::messages(3)).await.unwrap() else { panic!() };
    s.settle(b.iter().map(|d| (d.tag, Outcome::Ack)).collect()).await;
    let waits = tokio::spawn(async move {
        let mut tags = Vec::new();
        while let Ok(Ok(Next::Batch(b))) = timeout(Duration::from_millis(300), d.next(Limit::messages(9))).await {
            tags.extend(b.iter().map(|d| (d.tag, Outcome::Ack)));
        }
        (tags, d)
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let (a, b) = tokio::join!(s.seek(Start::Earliest), s.seek(Start::Earliest));
    let (tags, _d) = waits.await.unwrap();
    println!("{a:?} {b:?} {tags:?}");
    let settled = s.settle(tags).await;
    println!("{settled:?}");
    drop((broker, s, _d));
    println!("opened again: {:?}", EmbeddedBroker::open(store).await.map(|_| ()));
    assert_eq!(settled.iter().filter(|s| s.is_ok()).count(), 1, "one delivery of the one message is valid");
}

// 4
#[tokio::test]
async fn latest_while_a_message_fails() {
    let (store, control) = Gate::new();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    let t = Topology::new().topic(Topic::log(to("a"), 1));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    control.held.send_replace(true);
    let failing = broker.send(vec![msg("a", "fails")]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let b = broker.clone();
    let ensured =
        tokio::spawn(async move { b.ensure(&Topology::new().subscription(sub("g", "a")), Ensure::Create).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    control.fail.store(1, SeqCst);
    control.held.send_replace(false);
    println!("{:?} {:?}", failing.await, ensured.await.unwrap());
    sent(&broker, msg("a", "after")).await.unwrap();
    let (mut d, _s) = broker.subscribe(spec("g")).await.unwrap();
    assert_eq!(take(&mut d, 1).await, ["after"]);
}

// 5
#[tokio::test]
async fn schedules_that_is_dropped() {
    let (store, control) = Gate::new();
    let clock = Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_700_000_000).unwrap()));
    let open = Options::new().clock(clock.clone(), Duration::from_millis(1));
    let broker = open.open(store).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    sent(&broker, msg("a", "far").delay(Duration::from_secs(7200))).await.unwrap();
    control.reads_held.send_replace(true);
    assert!(soon(broker.admin().unwrap().schedules(10)).await.is_none());
    control.reads_held.send_replace(false);
    clock.advance(Duration::from_secs(8000));
    let (mut d, _s) = broker.subscribe(spec("g")).await.unwrap();
    assert_eq!(take(&mut d, 1).await, ["far"]);
}

// 6
#[tokio::test]
async fn many_large_messages_are_due_at_once() {
    let (store, control) = Gate::new();
    let clock = Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_700_000_000).unwrap()));
    let broker = Options::new().clock(clock.clone(), Duration::from_millis(1)).open(store).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let large = "x".repeat((1 << 20) - 100);
    for _ in 0..20 {
        sent(&broker, msg("a", &large).delay(Duration::from_secs(60))).await.unwrap();
    }
    let before = control.appends.load(SeqCst);
    clock.advance(Duration::from_secs(61));
    let (mut d, _s) = broker.subscribe(spec("g")).await.unwrap();
    let got = timeout(Duration::from_secs(6), d.next(Limit::messages(1))).await.is_ok() as usize;
    println!("appends tried: {}", control.appends.load(SeqCst) - before);
    assert_eq!(got, 1);
}

// 7
#[tokio::test]
async fn a_delayed_message_that_failed_is_no_duplicate() {
    let (store, control) = Gate::new();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    let t = Topology::new()
        .topic(Topic { dedupe: Some(Duration::from_secs(600)), ..Topic::new(to("a")) })
        .subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let event = NewEvent::json(StreamName::of("order", 1).unwrap(), "X".parse().unwrap(), "{}");
    let message = Message::event(to("a"), event).delay(Duration::from_millis(50));
    control.fail.store(1, SeqCst);
    println!("{:?}", sent(&broker, message.clone()).await);
    println!("again: {:?}", sent(&broker, message).await);
    let (mut d, _s) = broker.subscribe(spec("g")).await.unwrap();
    assert_eq!(take(&mut d, 1).await.len(), 1);
}

// 8
#[tokio::test]
async fn a_purge_that_fails_changes_nothing() {
    let (store, control) = Gate::new();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    let t = Topology::new()
        .topic(Topic::new(to("a")))
        .topic(Topic::log(to("dead"), 1))
        .subscription(sub("g", "a").order(Order::KeyBlocks).dead_letter(to("dead")).hold_after_dead_letter());
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    sent(&broker, msg("a", "1").key("k")).await.unwrap();
    let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
    s.settle(vec![(b[0].tag, Outcome::DeadLetter { reason: "x".into() })]).await[0].as_ref().unwrap();
    control.fail.store(1, SeqCst);
    broker.admin().unwrap().purge(&"g".parse().unwrap()).await.unwrap_err();
    assert_eq!(take(&mut d, 1).await, [""; 0], "it is dead");
}

async fn count_wakes(clock: &Counting) -> usize {
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = clock.calls.load(SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    clock.calls.load(SeqCst) - before
}
fn counting() -> Arc<Counting> {
    Arc::new(Counting {
        inner: ManualClock::at(jiff::Timestamp::from_second(1_700_000_000).unwrap()),
        calls: AtomicUsize::new(0),
    })
}

// 9a
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_behind_a_full_window_sleeps() {
    let clock = counting();
    let broker = Options::new().clock(clock.clone(), Duration::from_secs(1)).open(mem()).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a").order(Order::KeyBlocks));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    broker.send((0..1500).map(|n| msg("a", &n.to_string()).key("k")).collect()).await.unwrap().await;
    let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
    s.settle(vec![(b[0].tag, Outcome::Retry { after: Duration::from_secs(3600) })]).await[0].as_ref().unwrap();
    let waits = tokio::spawn(async move { d.next(Limit::messages(1)).await.map(|_| ()) });
    let wakes = count_wakes(&clock).await;
    println!("looks at the clock in 300 ms: {wakes}");
    assert!(wakes < 100, "{wakes}");
}

// 9b
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_message_without_a_place_does_not_spin() {
    let clock = counting();
    let broker = Options::new().clock(clock.clone(), Duration::from_secs(1)).open(mem()).await.unwrap();
    let t = Topology::new()
        .topic(Topic::new(to("a")))
        .topic(Topic::new(to("dead")))
        .subscription(sub("g", "a").dead_letter(to("dead")));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g").lease(Duration::from_secs(5))).await.unwrap();
    sent(&broker, msg("a", "1").expires_after(Duration::from_secs(10))).await.unwrap();
    let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
    clock.inner.advance(Duration::from_secs(20));
    let wakes = count_wakes(&clock).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let wakes = count_wakes(&clock).await;
    println!("looks at the clock in 300 ms: {wakes}");
    assert!(wakes < 100, "{wakes}");
}

// 9c
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_standby_of_slices_sleeps() {
    let clock = counting();
    let store = mem();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a").sharing(Sharing::Slices));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    for n in 0..5 {
        sent(&broker, msg("a", &n.to_string())).await.unwrap();
    }
    let broker = Options::new().clock(clock.clone(), Duration::from_secs(1)).open(store).await.unwrap();
    let (mut a, _sa) = broker.subscribe(spec("g")).await.unwrap();
    let (mut b, _sb) = broker.subscribe(spec("g")).await.unwrap();
    println!("{:?}", a.next(Limit::messages(1)).await);
    let waits = tokio::spawn(async move { b.next(Limit::messages(1)).await.map(|_| ()) });
    let wakes = count_wakes(&clock).await;
    println!("looks at the clock in 300 ms: {wakes}");
    assert!(wakes < 100, "{wakes}");
}

// 10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_slice_does_not_stop_the_others() {
    let broker = EmbeddedBroker::open(mem()).await.unwrap();
    let t = Topology::new()
        .topic(Topic::new(to("a")))
        .topic(Topic::new(to("b")))
        .subscription(Subscription::new("g".parse().unwrap(), [Binding::all(to("a")), Binding::all(to("b"))]));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    s.pause(&[Slice { topic: to("a"), partition: 0 }], true).await.unwrap();
    let large = "x".repeat((1 << 20) - 1);
    for _ in 0..40 {
        sent(&broker, msg("a", &large)).await.unwrap();
    }
    sent(&broker, msg("b", "small")).await.unwrap();
    assert_eq!(take(&mut d, 1).await, ["small"]);
}

// 11
async fn parked(order: Order) {
    let broker = EmbeddedBroker::open(mem()).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a").order(order));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    let large = "x".repeat((1 << 20) - 1);
    for _ in 0..33 {
        sent(&broker, msg("a", &large).key("k")).await.unwrap();
        if order == Order::Unordered {
            let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
            s.settle(vec![(b[0].tag, Outcome::Retry { after: Duration::from_secs(3600) })]).await[0].as_ref().unwrap();
        }
    }
    if order != Order::Unordered {
        let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
        s.settle(vec![(b[0].tag, Outcome::Retry { after: Duration::from_secs(3600) })]).await[0].as_ref().unwrap();
    }
    sent(&broker, msg("a", "other").key("other")).await.unwrap();
    assert_eq!(take(&mut d, 1).await, ["other"]);
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_messages_do_not_stop_an_unordered_group() {
    parked(Order::Unordered).await
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parked_keys_do_not_stop_others() {
    parked(Order::KeyParks).await
}

// 12
#[tokio::test]
async fn an_ensure_that_is_dropped_and_repeated() {
    let store = mem();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    assert!(broker.ensure(&t, Ensure::Create).now_or_never().is_none());
    broker.ensure(&t, Ensure::Create).await.unwrap();
    sent(&broker, msg("a", "1")).await.unwrap();
    drop(broker);
    let broker = EmbeddedBroker::open(store).await.unwrap();
    let (mut d, _s) = broker.subscribe(spec("g")).await.unwrap();
    assert_eq!(take(&mut d, 5).await, ["1"]);
}

// 13
#[tokio::test]
async fn a_later_message_of_a_key_is_not_stored_before_one_that_failed() {
    let (store, control) = Gate::new();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    broker.ensure(&Topology::new().topic(Topic::log(to("a"), 1)), Ensure::Create).await.unwrap();
    assert!(broker.capabilities(&to("a")).await.unwrap().gapless);
    control.held.send_replace(true);
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(broker.send(vec![msg("a", &n.to_string()).key("k")]).await.unwrap());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    control.fail.store(1, SeqCst);
    control.held.send_replace(false);
    let mut ok = Vec::new();
    for one in all {
        let r = one.await.pop().unwrap();
        println!("{r:?}");
        ok.push(r.is_ok());
    }
    assert!(ok.is_sorted_by(|a, b| a >= b), "{ok:?}");
}

// 14
#[tokio::test]
async fn a_lease_that_ends_while_its_settlement_fails() {
    let (store, control) = Gate::new();
    let clock = Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_700_000_000).unwrap()));
    let broker = Options::new().clock(clock.clone(), Duration::from_millis(1)).open(store).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    let (mut d2, _s2) = broker.subscribe(spec("g")).await.unwrap();
    sent(&broker, msg("a", "1")).await.unwrap();
    let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
    control.held.send_replace(true);
    let (settled, ()) = tokio::join!(s.settle(vec![(b[0].tag, Outcome::Ack)]), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        clock.advance(Duration::from_secs(40));
        tokio::time::sleep(Duration::from_millis(20)).await;
        control.fail.store(1, SeqCst);
        control.held.send_replace(false);
    });
    println!("{settled:?}");
    clock.advance(Duration::from_secs(4000));
    println!("{:?}", s.settle(vec![(b[0].tag, Outcome::Ack)]).await);
    assert_eq!(take(&mut d2, 1).await, ["1"]);
}

// 15
#[tokio::test]
async fn a_member_waits_while_another_stops_reading() {
    let (store, control) = Gate::new();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    sent(&broker, msg("a", "1")).await.unwrap();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    let (mut a, _sa) = broker.subscribe(spec("g")).await.unwrap();
    let (mut b, _sb) = broker.subscribe(spec("g")).await.unwrap();
    control.reads_held.send_replace(true);
    let b = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        timeout(Duration::from_secs(2), b.next(Limit::messages(1))).await.map(|n| bodies(&n.unwrap()))
    });
    assert!(timeout(Duration::from_millis(60), a.next(Limit::messages(1))).await.is_err());
    control.reads_held.send_replace(false);
    assert_eq!(b.await.unwrap().expect("b gets it"), ["1"]);
}

// 16
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_resumes_while_another_is_paused() {
    let store = mem();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    sent(&broker, msg("a", "1")).await.unwrap();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    let (mut a, sa) = broker.subscribe(spec("g")).await.unwrap();
    let (mut b, sb) = broker.subscribe(spec("g")).await.unwrap();
    let slice = [Slice { topic: to("a"), partition: 0 }];
    sa.pause(&slice, true).await.unwrap();
    sb.pause(&slice, true).await.unwrap();
    let a = tokio::spawn(async move { a.next(Limit::messages(1)).await.map(|_| ()) });
    let b = tokio::spawn(async move {
        timeout(Duration::from_secs(1), b.next(Limit::messages(1))).await.map(|n| bodies(&n.unwrap()))
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    sb.pause(&slice, false).await.unwrap();
    assert_eq!(b.await.unwrap().expect("b gets it"), ["1"]);
}

// 17
async fn earliest(broker: &dyn Broker) -> Vec<String> {
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    broker.send(vec![msg("a", "1")]).await.unwrap().await.pop().unwrap().unwrap();
    let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
    s.settle(vec![(b[0].tag, Outcome::Ack)]).await[0].as_ref().unwrap();
    let late = Topology::new().subscription(sub("late", "a").start(Start::Earliest));
    broker.ensure(&late, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("late")).await.unwrap();
    take(&mut d, 1).await
}
#[tokio::test]
async fn earliest_of_what_is_no_log() {
    let model = earliest(&MemoryBroker::new()).await;
    assert_eq!(earliest(&EmbeddedBroker::open(mem()).await.unwrap()).await, model);
}

// 18
#[tokio::test]
async fn a_held_key_can_be_resumed_after_a_restart() {
    let store = mem();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let t = Topology::new()
        .topic(Topic::new(to("a")))
        .topic(Topic::log(to("dead"), 1))
        .subscription(sub("g", "a").order(Order::KeyBlocks).dead_letter(to("dead")).hold_after_dead_letter());
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    sent(&broker, msg("a", "1").key("k")).await.unwrap();
    let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
    s.settle(vec![(b[0].tag, Outcome::DeadLetter { reason: "x".into() })]).await[0].as_ref().unwrap();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    println!("{:?}", broker.admin().unwrap().groups().await);
    broker.admin().unwrap().resume(&"g".parse().unwrap(), b"k", Resume::Resubmit).await.unwrap();
}

// 19
async fn mailbox(broker: &dyn Broker) -> Vec<String> {
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut a, _sa) = broker.subscribe(spec("g").lease(Duration::from_millis(100))).await.unwrap();
    let (mut b, _sb) = broker.subscribe(spec("g").lease(Duration::from_millis(100))).await.unwrap();
    assert!(a.next(Limit::messages(1)).now_or_never().is_none());
    {
        let next = a.next(Limit::messages(1));
        tokio::pin!(next);
        assert!(futures_util::future::poll_immediate(&mut next).await.is_none());
        let confirmed = broker.send(vec![msg("a", "1")]).await.unwrap().await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    take(&mut b, 1).await
}
#[tokio::test]
async fn what_a_member_fetched_and_does_not_ask_for_goes_to_another() {
    assert_eq!(mailbox(&EmbeddedBroker::open(mem()).await.unwrap()).await, ["1"]);
}

// 20
#[tokio::test]
async fn a_duplicate_of_a_delayed_message_after_a_restart() {
    let store = mem();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let t = Topology::new()
        .topic(Topic { dedupe: Some(Duration::from_secs(600)), ..Topic::new(to("a")) })
        .subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let event = NewEvent::json(StreamName::of("order", 1).unwrap(), "X".parse().unwrap(), "{}");
    let message = Message::event(to("a"), event).delay(Duration::from_secs(60));
    assert!(!sent(&broker, message.clone()).await.unwrap().duplicate);
    assert!(sent(&broker, message.clone()).await.unwrap().duplicate);
    let broker = EmbeddedBroker::open(store).await.unwrap();
    assert!(sent(&broker, message).await.unwrap().duplicate);
}

// 21
#[tokio::test]
async fn a_conflict_of_one_user_fails_nobody_else() {
    let broker = EmbeddedBroker::open(mem()).await.unwrap();
    let t = Topology::new().topic(Topic::log(to("a"), 1)).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (_d, settler) = broker.subscribe(spec("g")).await.unwrap();
    let stream = StreamName::of("order", 1).unwrap();
    let refused = Append::new([NewEvent::json(stream.clone(), "X".parse().unwrap(), "{}")])
        .expect(stream, Expected::Exactly(mainspring_event::Version(7)));
    let (refused, other) = tokio::join!(
        settler.in_store().unwrap().append(refused, vec![], vec![msg("a", "out")]),
        sent(&broker, msg("a", "1"))
    );
    refused.unwrap_err();
    other.expect("it has nothing to do with that");
}

// 22: sessions
async fn sessions(order: Order) {
    let dir = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let broker =
        EmbeddedBroker::open(Store::new(mainspring_store_disk::DiskStore::open(dir.path()).unwrap())).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a").order(order));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    for round in 0..4 {
        let _ = broker.send((0..9000).map(|k| msg("a", "").key(format!("{round}-{k}"))).collect()).await.unwrap().await;
        let mut left = 9000;
        while left > 0 {
            let Next::Batch(b) = d.next(Limit::messages(1000)).await.unwrap() else { panic!() };
            left -= b.len();
            s.settle(b.iter().map(|d| (d.tag, Outcome::Ack)).collect()).await;
        }
        let start = Instant::now();
        for n in 0..100 {
            sent(&broker, msg("a", "").key(format!("x{round}-{n}"))).await.unwrap();
            let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
            s.settle(vec![(b[0].tag, Outcome::Ack)]).await;
        }
        println!("{order:?}, {} keys before: {:?} a message", (round + 1) * 9000, start.elapsed() / 100);
    }
}
#[tokio::test]
async fn many_sessions_cost() {
    sessions(Order::KeyBlocks).await;
    sessions(Order::Sessions).await;
}

// 25
#[tokio::test]
async fn a_purge_does_not_falsify_the_lag() {
    async fn lag(broker: &dyn Broker) -> u64 {
        let only = Binding { from: to("a"), filter: Filter::Direct("wanted".into()) };
        let t =
            Topology::new().topic(Topic::log(to("a"), 1)).subscription(Subscription::new("g".parse().unwrap(), [only]));
        broker.ensure(&t, Ensure::Create).await.unwrap();
        for _ in 0..10 {
            let _ = broker.send(vec![msg("a", "no")]).await.unwrap().await;
        }
        broker.admin().unwrap().purge(&"g".parse().unwrap()).await.unwrap();
        for _ in 0..5 {
            let _ = broker.send(vec![msg("a", "yes").routed_by("wanted")]).await.unwrap().await;
        }
        broker.admin().unwrap().groups().await.unwrap()[0].lag
    }
    assert_eq!(lag(&EmbeddedBroker::open(mem()).await.unwrap()).await, lag(&MemoryBroker::new()).await);
}

// 26, 27
async fn lag_later(broker: &dyn Broker, clock: &ManualClock, keep: Keep, message: Message) -> Vec<(String, u64)> {
    let t = Topology::new()
        .topic(Topic { keep, ..Topic::new(to("a")) })
        .topic(Topic::new(to("dead")))
        .subscription(sub("g", "a").dead_letter(to("dead")))
        .subscription(sub("h", "dead"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let _ = broker.send(vec![message]).await.unwrap().await;
    clock.advance(Duration::from_secs(100));
    tokio::time::sleep(Duration::from_millis(100)).await;
    broker.admin().unwrap().groups().await.unwrap().iter().map(|g| (g.group.to_string(), g.lag)).collect()
}
async fn compare_lag(keep: Keep, message: Message) {
    let at = || Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_700_000_000).unwrap()));
    let (c1, c2) = (at(), at());
    let model = lag_later(&MemoryBroker::with_clock(c1.clone()), &c1, keep, message.clone()).await;
    let broker = Options::new().clock(c2.clone(), Duration::from_millis(1)).open(mem()).await.unwrap();
    assert_eq!(lag_later(&broker, &c2, keep, message).await, model);
}
#[tokio::test]
async fn what_a_log_has_removed_is_no_lag() {
    compare_lag(Keep::Log { max_age: Some(Duration::from_secs(10)), max_bytes: None }, msg("a", "1")).await
}
#[tokio::test]
async fn what_expires_without_a_member_becomes_a_dead_letter() {
    compare_lag(Keep::UntilSettled, msg("a", "1").expires_after(Duration::from_secs(10))).await
}

// 28
#[tokio::test]
async fn an_empty_commit_on_disk() {
    let dir = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let broker =
        EmbeddedBroker::open(Store::new(mainspring_store_disk::DiskStore::open(dir.path()).unwrap())).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    println!("{:?}", s.commit(vec![], vec![]).await.unwrap());
    println!("{:?}", s.in_store().unwrap().append(Append::default(), vec![], vec![]).await.unwrap());
}

// 29
#[tokio::test]
async fn a_seek_that_fails_gives_nothing_settled_again() {
    let (store, control) = Gate::new();
    let broker = EmbeddedBroker::open(store).await.unwrap();
    let t = Topology::new().topic(Topic::log(to("a"), 1)).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    sent(&broker, msg("a", "1")).await.unwrap();
    let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
    control.held.send_replace(true);
    let (settled, sought, ()) = tokio::join!(
        s.settle(vec![(b[0].tag, Outcome::Ack)]),
        async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            s.seek(Start::Earliest).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            // The first is the settlement, the second the seek.
            control.fail.store(0, SeqCst);
            let c = control.appends.load(SeqCst);
            control.held.send_replace(false);
            while control.appends.load(SeqCst) == c {
                tokio::task::yield_now().await;
            }
        }
    );
    println!("{settled:?} {sought:?}");
}

// 30
#[tokio::test]
async fn a_seek_beyond_the_end() {
    async fn run(broker: &dyn Broker) -> Vec<String> {
        let t = Topology::new().topic(Topic::log(to("a"), 1)).subscription(sub("g", "a"));
        broker.ensure(&t, Ensure::Create).await.unwrap();
        let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
        s.seek(Start::Offsets(vec![(Slice { topic: to("a"), partition: 0 }, 100)])).await.unwrap();
        let _ = broker.send(vec![msg("a", "1")]).await.unwrap().await;
        take(&mut d, 1).await
    }
    assert_eq!(run(&EmbeddedBroker::open(mem()).await.unwrap()).await, run(&MemoryBroker::new()).await);
}

// 31
#[tokio::test]
async fn one_held_message_costs_one_message_of_memory() {
    fn rss() -> u64 {
        let s = std::fs::read_to_string("/proc/self/statm").unwrap();
        s.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
    }
    let dir = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let broker =
        EmbeddedBroker::open(Store::new(mainspring_store_disk::DiskStore::open(dir.path()).unwrap())).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    for wait in [false, true] {
        if wait {
            sent(&broker, msg("a", "")).await.unwrap();
            let Next::Batch(b) = d.next(Limit::messages(1)).await.unwrap() else { panic!() };
            s.settle(vec![(b[0].tag, Outcome::Retry { after: Duration::from_secs(36000) })]).await;
        }
        for round in 0..2 {
            let before = rss();
            for _ in 0..15 {
                let _ = broker.send((0..10_000).map(|_| msg("a", "")).collect()).await.unwrap().await;
                let mut left = 10_000;
                while left > 0 {
                    let Next::Batch(b) = d.next(Limit::messages(1000)).await.unwrap() else { panic!() };
                    left -= b.len();
                    s.settle(b.iter().map(|d| (d.tag, Outcome::Ack)).collect()).await;
                }
            }
            println!("one waits: {wait}; resident after 150,000 more: {:+} KiB", rss() as i64 - before as i64);
        }
    }
}

// 23: unborn
#[tokio::test]
async fn a_large_batch_to_a_member_that_waits() {
    let dir = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let broker =
        EmbeddedBroker::open(Store::new(mainspring_store_disk::DiskStore::open(dir.path()).unwrap())).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a").order(Order::KeyBlocks));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    for waits in [true, false] {
        for n in [250, 500, 1000] {
            let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
            let start = Instant::now();
            let batch = (0..n).map(|k| msg("a", "").key(format!("{k}"))).collect();
            if !waits {
                let _ = broker.send(batch).await.unwrap().await;
                let b = d.next(Limit::messages(1000)).await.unwrap();
                let Next::Batch(b) = b else { panic!() };
                println!("does not wait, {n}: {:?}, got {}", start.elapsed(), b.len());
                s.settle(b.iter().map(|d| (d.tag, Outcome::Ack)).collect()).await;
                continue;
            }
            let (next, _) =
                tokio::join!(d.next(Limit::messages(1000)), async { broker.send(batch).await.unwrap().await });
            let Next::Batch(b) = next.unwrap() else { panic!() };
            println!("waits, {n}: {:?}, got {}", start.elapsed(), b.len());
            s.settle(b.iter().map(|d| (d.tag, Outcome::Ack)).collect()).await;
        }
    }
}

// 24: empties
#[tokio::test]
async fn a_failing_store_does_not_make_the_keeper_spin() {
    let (store, control) = Gate::new();
    let clock = Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_700_000_000).unwrap()));
    let broker = Options::new().clock(clock.clone(), Duration::from_secs(1)).open(store).await.unwrap();
    let t = Topology::new().topic(Topic::new(to("a"))).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    sent(&broker, msg("a", "1").delay(Duration::from_secs(1))).await.unwrap();
    control.fail.store(1_000_000, SeqCst);
    clock.advance(Duration::from_secs(20));
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let before = control.appends.load(SeqCst);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let tried = control.appends.load(SeqCst) - before;
    assert!(tried < 10, "{tried}");
}

// 32
#[tokio::test]
async fn a_seek_and_a_purge_at_once() {
    let broker = EmbeddedBroker::open(mem()).await.unwrap();
    let t = Topology::new().topic(Topic::log(to("a"), 1)).subscription(sub("g", "a"));
    broker.ensure(&t, Ensure::Create).await.unwrap();
    let (mut d, s) = broker.subscribe(spec("g")).await.unwrap();
    for n in 0..3 {
        sent(&broker, msg("a", &n.to_string())).await.unwrap();
    }
    let Next::Batch(b) = d.next(Limit::messages(3)).await.unwrap() else { panic!() };
    s.settle(b.iter().map(|d| (d.tag, Outcome::Ack)).collect()).await;
    let group = "g".parse().unwrap();
    let admin = broker.admin().unwrap();
    let (sought, purged) = tokio::join!(s.seek(Start::Earliest), admin.purge(&group));
    println!("{sought:?} {purged:?} {:?}", admin.groups().await);
    println!("{:?}", admin.browse(&group, 9).await.unwrap().len());
    println!("{:?}", take(&mut d, 3).await);
}
