//! The events and projections that these tests run, and how they wait.

use std::{sync::Arc, time::Duration};

use mainspring_event::{Event, NewEvent, Position, Recorded, StreamName};
use mainspring_projection::{Options, Projected, Projection, ProjectionError, Runner, Status, prepare_with};
use mainspring_retry::{Failure, Retry};
use mainspring_store::{Append, Store};
use mainspring_view_sqlite::Views;
use serde::{Deserialize, Serialize};
use sqlx::{SqliteConnection, SqlitePool};
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

/// Longer than anything here takes, unless it never happens.
pub(crate) const SOON: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
pub(crate) enum OrderEvent {
    OrderPlaced { cents: i64 },
    OrderShipped,
}

type Hook = dyn Fn(&Recorded<OrderEvent>) -> Result<(), Failure> + Send + Sync;

/// Counts and lists what it has seen, so that anything skipped or repeated shows.
#[derive(Clone)]
pub(crate) struct Orders<const VERSION: u32 = 1> {
    /// Called before an event is applied.
    pub(crate) hook: Arc<Hook>,
    /// An event passes when there is a permit.
    pub(crate) gate: Arc<Semaphore>,
}

impl<const VERSION: u32> Orders<VERSION> {
    pub(crate) fn new() -> Self {
        Self::with(|_| Ok(()))
    }

    pub(crate) fn with(hook: impl Fn(&Recorded<OrderEvent>) -> Result<(), Failure> + Send + Sync + 'static) -> Self {
        Self { hook: Arc::new(hook), gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }

    /// Lets nothing pass until permits are added.
    pub(crate) fn closed() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), ..Self::new() }
    }
}

impl<const VERSION: u32> Projection for Orders<VERSION> {
    const NAME: &'static str = "orders";
    const VERSION: u32 = VERSION;
    type View = Views;
    type Event = OrderEvent;

    async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
        // A violation of the second table's reference is found by the commit and not before.
        let create = "CREATE TABLE seen (ordinal INTEGER PRIMARY KEY, position INTEGER, cents INTEGER);
                      CREATE TABLE customers (id INTEGER PRIMARY KEY);
                      CREATE TABLE referring (customer INTEGER REFERENCES customers DEFERRABLE INITIALLY DEFERRED);
                      CREATE TABLE total (cents INTEGER); INSERT INTO total VALUES (0)";
        sqlx::raw_sql(create).execute(db).await?;
        Ok(())
    }

    async fn apply(&self, db: &mut SqliteConnection, order: &Recorded<OrderEvent>) -> Result<(), Failure> {
        self.gate.acquire().await?.forget();
        let cents = match order.event {
            OrderEvent::OrderPlaced { cents } => cents,
            OrderEvent::OrderShipped => 0,
        };
        let position = order.position().0 as i64;
        sqlx::query("INSERT INTO seen (position, cents) VALUES (?, ?)")
            .bind(position)
            .bind(cents)
            .execute(&mut *db)
            .await?;
        sqlx::query("UPDATE total SET cents = cents + ?").bind(cents).execute(&mut *db).await?;
        if cents == DANGLING {
            sqlx::query("INSERT INTO referring VALUES (1)").execute(&mut *db).await?;
        }
        (self.hook)(order)
    }
}

/// An order of this price refers to a customer who is not there.
pub(crate) const DANGLING: i64 = 13;

/// A second projection over the same events, with tables of the same names as nobody else's.
pub(crate) struct Count;

impl Projection for Count {
    const NAME: &'static str = "count";
    const VERSION: u32 = 7;
    type View = Views;
    type Event = OrderEvent;

    async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
        sqlx::raw_sql("CREATE TABLE total (events INTEGER); INSERT INTO total VALUES (0)").execute(db).await?;
        Ok(())
    }

    async fn apply(&self, db: &mut SqliteConnection, _: &Recorded<OrderEvent>) -> Result<(), Failure> {
        sqlx::query("UPDATE total SET events = events + 1").execute(db).await?;
        Ok(())
    }
}

/// A projection under way.
pub(crate) struct Running<P: Projection> {
    pub(crate) projected: Projected<P>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ProjectionError>>,
}

impl<P: Projection> Running<P> {
    pub(crate) fn spawn((projected, runner): (Projected<P>, Runner<P>)) -> Self {
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            stopped.await.expect("the test stops it by hand");
        };
        Self { projected, stop, task: tokio::spawn(runner.run(stopped)) }
    }

    /// Lets it end by itself.
    pub(crate) async fn ended(self) -> ProjectionError {
        let _stop = self.stop;
        within(self.task).await.unwrap().unwrap_err()
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap().unwrap();
    }

    /// As abrupt as a crash of this task.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn status(&self, wanted: impl FnMut(&Status) -> bool) -> Status {
        within(self.projected.watch().wait_for(wanted)).await.unwrap().clone()
    }
}

/// Tries again at once, for ever, and commits small transactions.
pub(crate) fn impatient() -> Options {
    let retry = Retry::schedule([Duration::ZERO, Duration::from_millis(1)]).then_forever();
    Options { retry, commit_events: 700, ..Options::default() }
}

pub(crate) async fn run<P: Projection>(projection: P, view: &P::View, store: &Store) -> Running<P>
where
    P::View: Clone,
{
    Running::spawn(prepare_with(projection, view.clone(), store.clone(), impatient()).await.unwrap())
}

/// Appends orders of these prices, in one commit. Returns the last position.
pub(crate) async fn place(store: &Store, prices: impl IntoIterator<Item = i64>) -> Position {
    append(store, prices.into_iter().map(|cents| ("OrderPlaced", format!(r#"{{"cents":{cents}}}"#)))).await
}

/// Appends an event that no projection here asks for.
pub(crate) async fn ring(store: &Store) -> Position {
    append(store, [("BellRung", "{}".to_owned())]).await
}

pub(crate) async fn append(store: &Store, events: impl IntoIterator<Item = (&str, String)>) -> Position {
    let stream = StreamName::of("order", 1).unwrap();
    let event = |(name, payload): (&str, String)| NewEvent::json(stream.clone(), name.parse().unwrap(), payload);
    store.append(Append::new(events.into_iter().map(event))).await.unwrap().position
}

/// The positions that were applied, in order.
pub(crate) async fn seen(db: &SqlitePool) -> Vec<u64> {
    let rows: Vec<i64> = sqlx::query_scalar("SELECT position FROM seen ORDER BY ordinal").fetch_all(db).await.unwrap();
    rows.into_iter().map(|position| position as u64).collect()
}

pub(crate) async fn total(db: &SqlitePool) -> i64 {
    sqlx::query_scalar("SELECT cents FROM total").fetch_one(db).await.unwrap()
}

/// Waits, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, future).await.expect("it happens soon")
}
