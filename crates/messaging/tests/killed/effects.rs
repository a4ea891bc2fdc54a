//! A process that publishes and handles is killed a hundred times. With an inbox, or with a commit into the event store,
//! every message has its effect exactly once; without, at least once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt, future::join_all};
use mainspring_broker::Broker;
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_conformance::Seed;
use mainspring_event::{Category, NewEvent, StreamName};
use mainspring_messaging::{Commit, Delivered, FromRef, Once, Publisher, State, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};
use mainspring_store::{Append, Query, Read, Store};
use mainspring_view_sqlite::Sqlite;
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions},
};
use tokio::runtime::Runtime;

use super::{
    processes::{Process, other_process, say},
    world::{Placed, dead_letters, eventually, lag, open_store},
};

const KILLS: u64 = 100;

/// So many publish at once, each one message after the other.
const PUBLISHERS: u64 = 4;

const GROUPS: [&str; 3] = ["in-sqlite", "in-store", "plain"];

#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
struct Effects {
    pool: SqlitePool,
    file: Arc<File>,
}

async fn effects(directory: &Path) -> Effects {
    let options = SqliteConnectOptions::new().filename(directory.join("effects.sqlite"));
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE IF NOT EXISTS effects (\"order\" INTEGER)").execute(&pool).await.unwrap();
    let file = OpenOptions::new().create(true).append(true).open(directory.join("effects")).unwrap();
    Effects { pool, file: Arc::new(file) }
}

async fn in_sqlite(placed: Delivered<Placed>, mut tx: Once<Sqlite>) -> Result<(), Failure> {
    sqlx::query("INSERT INTO effects VALUES (?1)").bind(placed.event.order.cast_signed()).execute(&mut **tx).await?;
    Ok(())
}

async fn in_store(placed: Delivered<Placed>, commit: Commit) -> Result<(), Failure> {
    let stream = StreamName::of("effect", placed.event.order)?;
    commit.append(Append::new([NewEvent::json(stream, "Counted".parse()?, "{}")]))?;
    let _ = commit.publish("onward", &placed.event)?;
    Ok(())
}

async fn plain(placed: Delivered<Placed>, State(file): State<Arc<File>>) -> Result<(), Failure> {
    (&*file).write_all(format!("{}\n", placed.event.order).as_bytes())?;
    Ok(())
}

async fn onward(_: Delivered<Placed>) {}

fn subscriptions(effects: Effects) -> Subscriptions<Effects> {
    // A process that is killed a hundred times may be killed with the same message each time.
    let on = |group: &str| Subscription::new("orders", group).retry(Retry::times(1_000));
    Subscriptions::new(effects).on(on(GROUPS[0]), in_sqlite).on(on(GROUPS[1]), in_store).on(on(GROUPS[2]), plain)
}

/// Opens, with a group that keeps what is published onward and handles nothing of it.
async fn open(directory: &Path) -> (Store, Arc<EmbeddedBroker>) {
    let store = open_store(directory);
    let broker = Arc::new(EmbeddedBroker::open(store.clone()).await.unwrap());
    let keeper = Subscriptions::new(()).on(Subscription::new("onward", "onward"), onward);
    drop(keeper.prepare(broker.clone()).await.unwrap());
    (store, broker)
}

/// Publishes and handles until it is killed. Says what was confirmed.
async fn work(directory: &Path) {
    say("opening");
    let (_, broker) = open(directory).await;
    let (_, runner) = subscriptions(effects(directory).await).prepare(broker.clone()).await.unwrap();
    say("opened");
    // Nobody has had these numbers before: time goes on faster than orders come.
    let begun = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let next = AtomicU64::new(u64::try_from(begun).unwrap());
    let publisher = Publisher::new(broker);
    let publish = async || {
        loop {
            let order = next.fetch_add(1, Ordering::Relaxed);
            publisher.publish("orders", &Placed { order }).await.unwrap();
            say(&order.to_string());
        }
    };
    let publishing = async {
        join_all((0..PUBLISHERS).map(|_| publish())).await;
    };
    runner.run(publishing).await.unwrap();
}

/// What the hundred kills have come to so far.
struct Kills {
    seed: Seed,
    /// Orders whose publishing was confirmed.
    confirmed: BTreeSet<u64>,
    /// How long the last process took to open that was left in peace.
    opening: Duration,
    while_opening: u64,
}

impl Kills {
    /// Lets another process work and kills it.
    fn one_more(&mut self, directory: &Path) {
        let test = "effects::every_message_has_its_effect_exactly_once_however_often_the_process_is_killed";
        let process = Process::start(test, directory);
        process.until("opening");
        let begun = Instant::now();
        let mut opened = false;
        let mut note = |line: String| match line.parse() {
            Ok(order) => assert!(self.confirmed.insert(order), "{order} was published twice"),
            Err(_) => opened = true,
        };
        let end = if self.seed.once_in(8) {
            begun + Duration::from_micros(self.seed.within(0..=u64::try_from(self.opening.as_micros()).unwrap()))
        } else {
            note(process.line().expect("it works until it is killed"));
            self.opening = begun.elapsed();
            for _ in 0..self.seed.within(1..=60) {
                note(process.line().expect("it works until it is killed"));
            }
            Instant::now() + Duration::from_micros(self.seed.within(0..=3_000))
        };
        while let Some(line) = process.line_until(end) {
            note(line);
        }
        process.kill().into_iter().for_each(note);
        self.while_opening += u64::from(!opened);
    }
}

/// How often each order has had its effect.
fn counted(orders: impl IntoIterator<Item = u64>) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    orders.into_iter().for_each(|order| *counts.entry(order).or_default() += 1);
    counts
}

/// What there is in SQLite, in the store, among the messages published onward, and in the file.
async fn found(directory: &Path, store: &Store, broker: &EmbeddedBroker) -> [BTreeMap<u64, u32>; 4] {
    let pool = effects(directory).await.pool;
    let in_sqlite: Vec<i64> = sqlx::query_scalar("SELECT \"order\" FROM effects").fetch_all(&pool).await.unwrap();
    let mut in_store = Vec::new();
    let mut batches = store.read(Read::new(Query::category(Category::new("effect").unwrap())));
    while let Some(batch) = batches.next().await {
        for event in batch.unwrap().iter() {
            in_store.push(event.stream.strip_prefix("effect-").unwrap().parse().unwrap());
        }
    }
    let onward = broker.admin().unwrap().browse(&"onward".parse().unwrap(), 1_000_000).await.unwrap();
    let onward = onward.iter().map(|pending| {
        let said = std::str::from_utf8(&pending.message.body).unwrap();
        said.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
    });
    let file = std::fs::read_to_string(directory.join("effects")).unwrap();
    let in_file = file.lines().map(|line| line.parse().unwrap());
    [counted(in_sqlite.into_iter().map(i64::cast_unsigned)), counted(in_store), counted(onward), counted(in_file)]
}

#[test]
fn every_message_has_its_effect_exactly_once_however_often_the_process_is_killed() {
    if let Some(directory) = other_process() {
        return Runtime::new().unwrap().block_on(work(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut kills = Kills { seed: Seed::new(1), confirmed: BTreeSet::new(), opening: Duration::ZERO, while_opening: 0 };
    for _ in 0..KILLS {
        kills.one_more(directory.path());
    }
    let Kills { confirmed, while_opening, .. } = kills;
    Runtime::new().unwrap().block_on(async {
        let (store, broker) = open(directory.path()).await;
        let subscriptions = subscriptions(effects(directory.path()).await);
        let (_, runner) = subscriptions.prepare(broker.clone()).await.unwrap();
        let settled = eventually(async || {
            let mut left = 0;
            for group in GROUPS {
                left += lag(&broker, group).await;
            }
            left == 0
        });
        runner.run(settled).await.unwrap();
        for group in GROUPS {
            assert_eq!(dead_letters(&broker, group).await, [], "of {group}");
        }
        let [in_sqlite, in_store, onward, in_file] = found(directory.path(), &store, &broker).await;
        // What was on its way when a process was killed may have been published or not, but not for some and not others.
        let published: BTreeSet<u64> = in_file.keys().copied().collect();
        assert!(confirmed.is_subset(&published), "a confirmed message had no effect");
        let once: BTreeMap<u64, u32> = published.iter().map(|order| (*order, 1)).collect();
        assert_eq!(in_sqlite, once, "effects in SQLite");
        assert_eq!(in_store, once, "effects in the store");
        assert_eq!(onward, once, "messages published onward");
        let repeated = in_file.values().filter(|count| **count > 1).count();
        let unconfirmed = published.len() - confirmed.len();
        println!(
            "{KILLS} kills, {while_opening} while opening; {} messages confirmed, {unconfirmed} more published; without an \
             inbox {repeated} had their effect more than once, one of them {} times",
            confirmed.len(),
            in_file.values().max().unwrap(),
        );
        assert!(confirmed.len() > 1_000 && while_opening > 2, "the kills came at no interesting moments");
        assert!(repeated > 0, "nothing came again, so nothing was proven");
    });
}
