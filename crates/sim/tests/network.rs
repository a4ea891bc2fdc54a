//! A broker over a bad connection: senders and members that do what the contract says lose nothing and keep keys in order,
//! and those that do not are caught.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use mainspring_broker::{
    Binding, Broker, Deliveries, Ensure, Limit, MemoryBroker, Message, Next, Order, Outcome, SendError, Settler,
    Subscription, SubscriptionSpec, Topic, Topology,
};
use mainspring_conformance::{
    ManualClock, Seed,
    broker::{Backend, Home},
};
use mainspring_sim::{Interruptions, SimBroker, Trouble};
use mainspring_store::Clock;
use tokio::{runtime, task::yield_now};

/// The wrapper without faults obeys every law, so what goes wrong below is the network and not the wrapper.
struct Calm;

struct CalmHome(std::sync::OnceLock<SimBroker>);

#[async_trait]
impl Backend for Calm {
    fn name(&self) -> &'static str {
        "memory, over a calm network"
    }

    async fn create(&self) -> Box<dyn Home> {
        Box::new(CalmHome(std::sync::OnceLock::new()))
    }
}

#[async_trait]
impl Home for CalmHome {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn Broker> {
        let broker = || SimBroker::new(MemoryBroker::with_clock(clock), 1, Trouble::NONE);
        Arc::new(self.0.get_or_init(broker).clone())
    }

    async fn reopen(&self, broker: Arc<dyn Broker>, _: Arc<dyn Clock>) -> Arc<dyn Broker> {
        drop(broker);
        Arc::new(self.0.get().expect("it was opened before").restart())
    }
}

fn calm() -> Calm {
    Calm
}

mainspring_conformance::broker_laws!(calm);

/// What a sender does about a message of which it does not know whether it is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Sends it again, and what follows behind it.
    Careful,
    /// Takes it for stored.
    Careless,
}

/// What a member does about a delivery whose settlement got lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handler {
    /// Handles a message and then acknowledges it.
    HandlesFirst,
    /// Acknowledges a message and handles it only if that was answered.
    AcknowledgesFirst,
}

const KEYS: [&str; 3] = ["a", "b", "c"];

struct History {
    broker: SimBroker,
    clock: Arc<ManualClock>,
    random: Seed,
    sender: Sender,
    handler: Handler,
    /// For each key, what is still to be sent, in order.
    unsent: BTreeMap<&'static str, Vec<Message>>,
    /// For each key, what was handled, in order, repetitions left out.
    handled: BTreeMap<&'static str, Vec<String>>,
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body.to_vec()).expect("the history writes text")
}

impl History {
    async fn begin(seed: u64, sender: Sender, handler: Handler) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let broker = SimBroker::new(MemoryBroker::with_clock(clock.clone()), seed, Trouble::SOME);
        let orders = "orders".parse().expect("a valid name");
        let billing = Subscription::new("billing".parse().expect("a valid name"), [Binding::all(orders)]);
        let topology = Topology::new()
            .topic(Topic::new("orders".parse().expect("a valid name")))
            .subscription(billing.order(Order::KeyBlocks));
        broker.ensure(&topology, Ensure::Create).await.expect("the topology can be created");
        let order = |key: &'static str, number: u32| {
            Message::new("orders".parse().expect("a valid name"), format!("{key}:{number}")).key(key)
        };
        let unsent = KEYS.map(|key| (key, (0..20).map(|number| order(key, number)).collect()));
        let (unsent, handled) = (unsent.into(), KEYS.map(|key| (key, Vec::new())).into());
        Self { broker, clock, random: Seed::new(seed), sender, handler, unsent, handled }
    }

    /// Sends some messages of one key, and takes what is stored off what is to be sent.
    async fn send(&mut self) {
        let key = self.random.pick(&KEYS);
        let unsent = self.unsent.entry(key).or_default();
        let count = unsent.len().min(self.random.index(5));
        let batch = unsent[..count].to_vec();
        let answers = match self.broker.send(batch).await {
            Ok(admitted) => admitted.await,
            Err(error) => {
                assert!(matches!(error, SendError::NotAttempted(_)), "{error:?}");
                return;
            }
        };
        let careless = self.sender == Sender::Careless;
        let is_done = |answer: &Result<_, SendError>| {
            answer.is_ok() || (careless && matches!(answer, Err(SendError::Unknown(_))))
        };
        let done = answers.iter().take_while(|answer| is_done(answer)).count();
        unsent.drain(..done);
    }

    /// Handles what comes to a member, at most so many calls.
    async fn handle(&mut self, deliveries: &mut dyn Deliveries, settler: &dyn Settler) {
        let next = tokio::select! {
            biased;
            next = deliveries.next(Limit::messages(2)) => next.expect("the broker is open"),
            () = yield_now() => return,
        };
        let Next::Batch(batch) = next else { return };
        for delivery in batch {
            let key = KEYS.into_iter().find(|key| delivery.message.key.as_deref() == Some(key.as_bytes()));
            let handled = self.handled.entry(key.expect("each order has a key")).or_default();
            let body = body(&delivery.message);
            if self.handler == Handler::HandlesFirst && !handled.contains(&body) {
                handled.push(body.clone());
            }
            let answers = settler.settle(vec![(delivery.tag, Outcome::Ack)]).await;
            if answers[0].is_ok() && !handled.contains(&body) {
                handled.push(body);
            }
        }
    }

    /// Plays to the end; says what was handled of each key, what was to be, and what went wrong.
    async fn play(mut self) -> (BTreeMap<&'static str, Vec<String>>, Interruptions) {
        let spec = || SubscriptionSpec::new("billing".parse().expect("a valid name"));
        let mut members = Vec::new();
        for _ in 0..2 {
            members.push(self.broker.subscribe(spec()).await.expect("the group takes another member"));
        }
        for step in 0..4_000 {
            match self.random.within(0..=9) {
                0..=3 => self.send().await,
                4 => self.clock.advance(std::time::Duration::from_secs(31)),
                _ => {
                    let member = self.random.index(members.len());
                    let (deliveries, settler) = &mut members[member];
                    self.handle(&mut **deliveries, &**settler).await;
                }
            }
            if step % 100 == 0 && self.is_over().await {
                break;
            }
        }
        (self.handled, self.broker.injected())
    }

    async fn is_over(&self) -> bool {
        let groups = self.broker.admin().expect("the model can say it").groups().await.expect("the broker is open");
        self.unsent.values().all(Vec::is_empty) && groups.iter().all(|group| group.lag == 0)
    }
}

/// Plays a history; says what is missing or out of order, and what went wrong on the network.
fn play(seed: u64, sender: Sender, handler: Handler) -> (Vec<&'static str>, Interruptions) {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("the machine runs a test");
    let (handled, injected) = runtime.block_on(async { History::begin(seed, sender, handler).await.play().await });
    let expected = |key: &str| (0..20).map(|number| format!("{key}:{number}")).collect::<Vec<_>>();
    (KEYS.into_iter().filter(|key| handled[key] != expected(key)).collect(), injected)
}

#[test]
fn who_keeps_to_the_contract_loses_nothing_over_a_bad_connection() {
    let mut total = Interruptions::default();
    for seed in 1..=100 {
        let (wrong, injected) = play(seed, Sender::Careful, Handler::HandlesFirst);
        assert!(wrong.is_empty(), "seed {seed}: keys {wrong:?} are not complete and in order");
        total.refused += injected.refused;
        total.lost_requests += injected.lost_requests;
        total.lost_answers += injected.lost_answers;
        total.cuts += injected.cuts;
        total.late += injected.late;
        total.disconnects += injected.disconnects;
    }
    let counts = [total.refused, total.lost_requests, total.lost_answers, total.cuts, total.late, total.disconnects];
    assert!(counts.iter().all(|count| *count > 100), "a network without faults tests nothing: {total:?}");
}

#[test]
fn a_sender_that_takes_unknown_for_stored_is_caught() {
    assert!((1..=20).any(|seed| !play(seed, Sender::Careless, Handler::HandlesFirst).0.is_empty()));
}

#[test]
fn a_member_that_acknowledges_first_is_caught() {
    assert!((1..=20).any(|seed| !play(seed, Sender::Careful, Handler::AcknowledgesFirst).0.is_empty()));
}

#[test]
fn a_seed_replays_its_faults() {
    let played = |seed| play(seed, Sender::Careful, Handler::HandlesFirst);
    assert_eq!(played(7), played(7));
    assert_ne!(played(7).1, played(8).1);
}
