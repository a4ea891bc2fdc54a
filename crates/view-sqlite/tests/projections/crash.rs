//! A process that is killed while it catches up, again and again.

use std::{
    env,
    ffi::OsString,
    process::{Command, Stdio},
};

use mainspring_event::Position;
use mainspring_store::Store;
use mainspring_view_sqlite::Views;

use crate::{
    shop::{Orders, SOON, place, run, seen, total, within},
    stores::Tampered,
};

const DIRECTORY: &str = "MAINSPRING_TEST_VIEWS";
const EVENTS: u64 = 30_000;

/// The same history in every process.
async fn history() -> Store {
    let store = Store::new(Tampered::known());
    for _ in 0..EVENTS / 1_000 {
        place(&store, vec![1; 1_000]).await;
    }
    store
}

/// The same test is the process that is killed, where it is told so.
async fn run_until_killed(directory: OsString) {
    let views = Views::open(&directory).await.unwrap();
    let _orders = run(Orders::<1>::new(), &views, &history().await).await;
    std::future::pending().await
}

#[tokio::test]
async fn killed_while_catching_up() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return run_until_killed(directory).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let views = Views::open(directory.path()).await.unwrap();
    let mut reached = Position::START;
    while reached.0 < EVENTS / 2 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::killed_while_catching_up"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let advanced = async {
            loop {
                let models = views.list().await.unwrap();
                let checkpoint = models.first().and_then(|model| model.checkpoint);
                match checkpoint.map(|checkpoint| checkpoint.position) {
                    Some(position) if position > reached => break position,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        reached = within(advanced).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(reached.0 < EVENTS, "it was killed before it had caught up");

    let orders = run(Orders::<1>::new(), &views, &history().await).await;
    let db = orders.projected.read_after(Position(EVENTS), SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=EVENTS).collect::<Vec<_>>());
    assert_eq!(total(&db).await, EVENTS as i64);
    orders.stop().await;
}
