//! Handlers whose effects are in a database, exactly once.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use mainspring_broker::Message;
use mainspring_event::EventId;
use mainspring_messaging::{
    Delivered, FromRef, Inbox, Once, Raw, Seen, State, Subscription, Subscriptions, testing::deliver_message,
};
use mainspring_retry::{Advice, Failure, Retry};

use super::support::{Placed, World};

/// What a database would have: the inbox, and the rows of the handler.
#[derive(Default)]
struct Rows {
    inbox: BTreeSet<(String, EventId)>,
    orders: Vec<u64>,
}

#[derive(Clone, Default)]
struct Database(Arc<Mutex<Rows>>);

/// A transaction: what is written is not there before it is committed.
struct Tx {
    database: Database,
    inbox: Vec<(String, EventId)>,
    orders: Vec<u64>,
}

struct Memory;

impl Inbox for Memory {
    type Pool = Database;
    type Tx = Tx;
    type Error = Infallible;

    async fn begin(pool: &Database) -> Result<Tx, Infallible> {
        Ok(Tx { database: pool.clone(), inbox: Vec::new(), orders: Vec::new() })
    }

    async fn record(tx: &mut Tx, handler: &str, id: EventId) -> Result<Seen, Infallible> {
        let entry = (handler.to_owned(), id);
        if tx.database.0.lock().unwrap().inbox.contains(&entry) {
            return Ok(Seen::Duplicate);
        }
        tx.inbox.push(entry);
        Ok(Seen::First)
    }

    async fn commit(tx: Tx) -> Result<(), Infallible> {
        let mut rows = tx.database.0.lock().unwrap();
        rows.inbox.extend(tx.inbox);
        rows.orders.extend(tx.orders);
        Ok(())
    }
}

/// Fails after it has written, as often as the state says.
#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
struct Services {
    database: Database,
    failures: u32,
}

async fn bill(mut tx: Once<Memory>, placed: Delivered<Placed>, State(failures): State<u32>) -> Result<(), Failure> {
    tx.orders.push(placed.event.order);
    if placed.attempt() <= failures { Err("after it has written".into()) } else { Ok(()) }
}

fn on() -> Subscription {
    Subscription::new("orders", "billing").retry(Retry::times(3))
}

async fn orders_after(failures: u32, work: impl AsyncFnOnce(&World)) -> Vec<u64> {
    let world = World::new();
    let services = Services { database: Database::default(), failures };
    let subscriptions = Subscriptions::new(services.clone()).on(on(), bill);
    world
        .run(subscriptions, async |_| {
            work(&world).await;
            world.until_lag("billing", 0).await;
        })
        .await;
    services.database.0.lock().unwrap().orders.clone()
}

#[tokio::test]
async fn what_a_failed_attempt_wrote_is_rolled_back() {
    assert_eq!(orders_after(2, async |world| world.publish(17).await).await, [17]);
}

#[tokio::test]
async fn a_message_that_was_dead_lettered_has_written_nothing() {
    assert_eq!(orders_after(99, async |world| world.publish(17).await).await, [0_u64; 0]);
}

#[tokio::test]
async fn a_duplicate_is_acknowledged_and_skipped() {
    let twice = async |world: &World| {
        let message = world.publisher.publish("orders", &Placed { order: 17 }).into_message().unwrap();
        for _ in 0..2 {
            world.publisher.send(message.clone()).await.unwrap();
            world.until_lag("billing", 0).await;
        }
        world.publish(17).await;
    };
    assert_eq!(orders_after(0, twice).await, [17, 17], "two messages, of which one came twice");
}

#[tokio::test]
async fn what_has_no_id_cannot_be_handled_once() {
    let services = Services { database: Database::default(), failures: 0 };
    async fn handle(_: Raw, _: Once<Memory>) {}
    let message = Message::new("orders".parse().unwrap(), "{\"order\":7}");
    let failure = deliver_message(handle, message, &services).await.unwrap_err();
    assert_eq!(failure.advice(), Advice::Never);
    assert!(failure.to_string().contains("exactly once"), "{failure}");
}

#[tokio::test]
async fn a_transaction_that_outlives_its_handler_is_a_failed_attempt() {
    async fn leak(tx: Once<Memory>, State(kept): State<Kept>) {
        kept.lock().unwrap().push(tx);
    }
    type Kept = Arc<Mutex<Vec<Once<Memory>>>>;
    #[derive(Clone, FromRef)]
    #[from_ref(crate = mainspring_messaging)]
    struct Services {
        database: Database,
        kept: Kept,
    }
    let services = Services { database: Database::default(), kept: Kept::default() };
    let event = Placed { order: 17 };
    let failure = mainspring_messaging::testing::deliver(leak, &event, &services).await.unwrap_err();
    assert_eq!(failure.advice(), Advice::BySchedule);
    assert!(failure.to_string().contains("outlived its handler"), "{failure}");
}
