//! An application with messages, from publishing to a read model, over restarts, and what stops it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::{
    convert::Infallible,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use mainspring::{
    App, Commit, Decider, Delivered, Event, Failure, MessagingError, Projection, Publisher, Recorded, Reply, RunError,
    State, Subscription, Subscriptions,
    broker::{Binding, Broker, Ensure, Subscription as Group, Topic, Topology},
    sqlite::Views,
};
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;
use tokio::sync::{Notify, Semaphore};

/// Nothing here takes so long, but on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize, Event)]
struct DepositAsked {
    account: String,
    cents: i64,
}

#[derive(Serialize, Deserialize, Event)]
struct Deposited {
    cents: i64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
struct DepositBooked {
    account: String,
}

#[derive(Default)]
struct Account;

impl Decider for Account {
    const CATEGORY: &'static str = "account";
    type Id = str;
    type Command = i64;
    type Event = Deposited;
    type Error = Infallible;

    fn evolve(&mut self, _: &Deposited) {}

    fn decide(&self, cents: i64) -> Result<Vec<Deposited>, Infallible> {
        Ok(vec![Deposited { cents }])
    }
}

struct Deposits;

impl Projection for Deposits {
    const NAME: &'static str = "deposits";
    const VERSION: u32 = 1;
    type View = Views;
    type Event = Deposited;

    async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
        sqlx::query("CREATE TABLE deposits (account TEXT, cents INTEGER)").execute(db).await?;
        Ok(())
    }

    async fn apply(&self, db: &mut SqliteConnection, deposited: &Recorded<Deposited>) -> Result<(), Failure> {
        let insert = sqlx::query("INSERT INTO deposits VALUES (?1, ?2)");
        insert.bind(deposited.key()).bind(deposited.event.cents).execute(db).await?;
        Ok(())
    }
}

/// How many handlers may go on, and who hears when one waits.
#[derive(Clone)]
struct Gate {
    free: Arc<Semaphore>,
    waits: Arc<Notify>,
}

impl Gate {
    fn with(permits: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(permits)), waits: Arc::default() }
    }
}

/// Books a deposit; waits in the middle when nothing is free.
async fn book(asked: Delivered<DepositAsked>, commit: Commit, State(gate): State<Gate>) -> Result<(), Failure> {
    let DepositAsked { account, cents } = asked.event;
    commit.handle::<Account>(account.as_str(), cents).await?;
    let _ = commit.publish("booked", &DepositBooked { account: account.clone() })?.key(account);
    if gate.free.available_permits() == 0 {
        gate.waits.notify_one();
    }
    gate.free.acquire().await?.forget();
    Ok(())
}

fn bookkeeping(gate: &Gate) -> Subscriptions<Gate> {
    let on = Subscription::new("deposits", "bookkeeping").concurrency(4).lease(Duration::from_secs(5));
    Subscriptions::new(gate.clone()).on(on, book).grace(Duration::from_millis(50))
}

async fn open(directory: &Path) -> App {
    let mut app = App::open(&format!("disk:{}", directory.display())).await.unwrap();
    let booked = Topology::new()
        .topic(Topic::new("booked".parse().unwrap()))
        .subscription(Group::new("archive".parse().unwrap(), [Binding::all("booked".parse().unwrap())]));
    assert_eq!(app.broker().await.unwrap().ensure(&booked, Ensure::Create).await.unwrap(), []);
    app
}

async fn ask(publisher: &Publisher, number: i64) {
    let asked = DepositAsked { account: format!("owner{}", number % 5), cents: 1 << number };
    publisher.publish("deposits", &asked).key(&asked.account).await.unwrap();
}

async fn lag(broker: &Arc<dyn Broker>, group: &str) -> u64 {
    let groups = broker.admin().unwrap().groups().await.unwrap();
    groups.into_iter().find(|status| status.group.as_str() == group).unwrap().lag
}

/// Waits until a group has so many messages that it has not settled.
async fn until_lag(broker: &Arc<dyn Broker>, group: &str, expected: u64) {
    let deadline = Instant::now() + PATIENCE;
    while lag(broker, group).await != expected {
        assert!(Instant::now() < deadline, "{} messages of {group}, not {expected}", lag(broker, group).await);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_finished_is_done_after_a_restart_and_everything_once() {
    let directory = tempfile::tempdir().unwrap();

    let mut app = open(directory.path()).await;
    let gate = Gate::with(7);
    app.subscribe(bookkeeping(&gate)).await.unwrap();
    let (publisher, broker) = (app.publisher().await.unwrap(), app.broker().await.unwrap().clone());
    let stopped = app.run_until(async {
        for number in 0..20 {
            ask(&publisher, number).await;
        }
        until_lag(&broker, "bookkeeping", 13).await;
        gate.waits.notified().await;
    });
    tokio::time::timeout(PATIENCE, stopped).await.unwrap().unwrap();
    publisher.publish("deposits", &DepositAsked { account: "late".into(), cents: 1 }).await.unwrap_err();
    drop((publisher, broker));

    let mut app = open(directory.path()).await;
    let broker = app.broker().await.unwrap().clone();
    assert_eq!((lag(&broker, "bookkeeping").await, lag(&broker, "archive").await), (13, 7));
    app.subscribe(bookkeeping(&Gate::with(100))).await.unwrap();
    let deposits = app.project(Deposits, Views::open(directory.path().join("views")).await.unwrap()).await.unwrap();
    let (publisher, store) = (app.publisher().await.unwrap(), app.store().clone());
    let work = async {
        ask(&publisher, 20).await;
        until_lag(&broker, "bookkeeping", 0).await;
        assert_eq!(lag(&broker, "archive").await, 21);
        let head = store.info().await.unwrap().head;
        let db = deposits.read_after(head, PATIENCE).await.unwrap();
        let all = sqlx::query_as::<_, (i64, i64)>("SELECT count(*), sum(cents) FROM deposits");
        assert_eq!(all.fetch_one(&db).await.unwrap(), (21, (1 << 21) - 1));
    };
    tokio::time::timeout(PATIENCE, app.run_until(work)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_that_ends_stops_the_application() {
    let mut app = App::open("memory:").await.unwrap();
    app.subscribe(bookkeeping(&Gate::with(1))).await.unwrap();
    // Another broker on the same store takes the place of this one, which hears of it when it writes.
    let mut other = App::new(app.store().clone());
    other.broker().await.unwrap();
    let publisher = app.publisher().await.unwrap();
    let work = async {
        let asked = DepositAsked { account: "ada".into(), cents: 1 };
        publisher.publish("deposits", &asked).await.unwrap_err();
        std::future::pending::<()>().await;
    };
    let error = tokio::time::timeout(PATIENCE, app.run_until(work)).await.unwrap().unwrap_err();
    assert!(matches!(&error, RunError::Failed { task, .. } if task == "bookkeeping"), "{error:?}");
}

#[tokio::test]
async fn a_question_gets_its_answer() {
    async fn booked(asked: Delivered<DepositAsked>) -> Reply<DepositBooked> {
        Reply(DepositBooked { account: asked.event.account })
    }
    let mut app = App::open("memory:").await.unwrap();
    app.subscribe(Subscriptions::new(()).on(Subscription::new("deposits", "counter"), booked)).await.unwrap();
    let requester = app.requester("bank", "1").await.unwrap();
    let question = DepositAsked { account: "ada".into(), cents: 1 };
    let answer = app.run_until(async { requester.request::<DepositBooked>("deposits", &question).await });
    let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap().unwrap();
    assert_eq!(answer.event, DepositBooked { account: "ada".into() });
}

#[tokio::test]
async fn a_store_is_not_written_to_by_an_application_without_messages() {
    let app = App::open("memory:").await.unwrap();
    let store = app.store().clone();
    app.run_until(async {}).await.unwrap();
    assert_eq!(store.info().await.unwrap().head.0, 0);
}

#[tokio::test]
async fn what_cannot_start_says_which_group() {
    let nameless = Subscriptions::new(Gate::with(0)).on(Subscription::new("deposits", "no group "), book);
    let error = App::open("memory:").await.unwrap().subscribe(nameless).await.map(drop).unwrap_err();
    assert!(matches!(error, MessagingError::Start(_)), "{error}");
}
