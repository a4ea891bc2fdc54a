//! An application stops when its work is done or one of its tasks ends, and says why.

use std::future::pending;

use mainspring::{App, RunError};

async fn app() -> App {
    App::open("memory:").await.expect("memory is always there")
}

#[tokio::test]
async fn work_that_is_done_stops_the_tasks() {
    let (told, mut stopped) = tokio::sync::mpsc::channel(1);
    let mut app = app().await;
    app.task("listener", |stop| async move {
        stop.requested().await;
        told.send(()).await
    });
    assert_eq!(app.run_until(async { 7 }).await.expect("nothing fails"), 7);
    assert_eq!(stopped.recv().await, Some(()));
}

#[tokio::test]
async fn a_task_that_fails_stops_the_application() {
    let mut app = app().await;
    app.task("listener", |_| async { Err("the port is taken") });
    let error = app.run_until(pending::<()>()).await.expect_err("the task failed");
    assert!(
        matches!(&error, RunError::Failed { task, source } if task == "listener" && source.to_string() == "the port is taken")
    );
}

#[tokio::test]
async fn a_task_that_panics_stops_the_application() {
    let mut app = app().await;
    app.task("listener", |_| async {
        if std::env::args().count() > 0 {
            panic!("out of paper");
        }
        Ok::<_, std::io::Error>(())
    });
    let error = app.run_until(pending::<()>()).await.expect_err("the task panicked");
    assert!(matches!(&error, RunError::Panicked { task, message } if task == "listener" && message == "out of paper"));
}

#[tokio::test]
async fn a_task_that_ends_stops_the_application() {
    let mut app = app().await;
    app.task("listener", |_| async { Ok::<_, std::io::Error>(()) });
    let error = app.run_until(pending::<()>()).await.expect_err("the task ended");
    assert!(matches!(error, RunError::Ended { task } if task == "listener"));
}

#[tokio::test]
async fn a_task_that_fails_while_stopping_is_the_error() {
    let mut app = app().await;
    app.task("listener", |stop| async move {
        stop.requested().await;
        Err::<(), _>("could not flush")
    });
    let error = app.run_until(async {}).await.expect_err("the task failed at the end");
    assert!(matches!(error, RunError::Failed { .. }));
}

#[tokio::test]
async fn a_url_says_which_store() {
    let directory = tempfile::tempdir().expect("a directory for the store");
    let disk = mainspring::open(&format!("disk:{}", directory.path().display())).await.expect("it is created");
    assert!(disk.capabilities().durable);
    for bad in ["", "disk:", "memory:x", "postgres://localhost/x"] {
        let error = mainspring::open(bad).await.expect_err("no such store");
        assert!(error.to_string().contains("write `memory:` or `disk:DIRECTORY`"), "{error}");
    }
}
