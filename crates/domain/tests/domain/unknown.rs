//! A store that cannot say what became of an append: the identical append settles it, and nothing is decided anew.

use mainspring_domain::{CommandError, Commit, decide};
use mainspring_event::Version;
use mainspring_store::{Append, AppendError, Store};

use crate::{
    bank::{Account, AccountCommand::*, accounts, events_of, raw},
    courses::{Enrol, open},
    scripted::{Scripted, Step},
};

/// Nothing was decided anew: each append was the same as the first.
fn assert_identical(appends: &[Append], count: usize) {
    assert_eq!(appends.len(), count);
    assert!(appends.iter().all(|append| *append == appends[0]), "{appends:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_by_repetition() {
    let store = Scripted::new([Step::LoseAnswer, Step::LoseRequest]);
    let receipt = accounts(&store).handle(&1, Deposit(5)).await.unwrap();
    assert_eq!(receipt.version, Version(1));
    assert_identical(&store.appends(), 3);
    assert_eq!(events_of(&store, "account-1").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_written_by_repetition() {
    let store = Scripted::new(vec![Step::LoseRequest; 8]);
    accounts(&store).handle(&1, Deposit(5)).await.unwrap();
    assert_identical(&store.appends(), 9);
    assert_eq!(events_of(&store, "account-1").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_stays_unknown_is_said_to_be() {
    for lost in [Step::LoseRequest, Step::LoseAnswer] {
        let store = Scripted::new([lost].into_iter().chain(vec![Step::LoseRequest; 100]));
        let error = accounts(&store).handle(&1, Deposit(5)).await.unwrap_err();
        assert!(matches!(error, CommandError::Unknown(_)), "{error:?}");
        assert_identical(&store.appends(), 9);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repetition_that_fails_says_nothing_of_the_first_try() {
    let store = Scripted::new([Step::LoseAnswer].into_iter().chain(vec![Step::Fail; 100]));
    let error = accounts(&store).handle(&1, Deposit(5)).await.unwrap_err();
    assert!(matches!(error, CommandError::Unknown(_)), "{error:?}");
    let store = Scripted::new([Step::LoseAnswer, Step::Fail]);
    assert_eq!(accounts(&store).handle(&1, Deposit(5)).await.unwrap().version, Version(1));
    assert_identical(&store.appends(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_repetition_that_conflicts_settles_it_and_is_decided_anew() {
    let rival = Append::new([raw("account-1", "Deposited", 2, r#"{"cents":1}"#)]);
    let store = Scripted::new([Step::LoseRequest, Step::Rival(rival)]);
    let receipt = accounts(&store).handle(&1, Deposit(5)).await.unwrap();
    assert_eq!(receipt.version, Version(2));
    assert_eq!(accounts(&store).load(&1).await.unwrap(), Account { balance: 6, movements: 2 });
}

#[tokio::test(start_paused = true)]
async fn with_a_key_the_command_can_be_sent_again() {
    let store = Scripted::new([Step::LoseAnswer].into_iter().chain(vec![Step::LoseRequest; 8]));
    let deposit = || accounts(&store).handle(&1, Deposit(5)).idempotency_key("k");
    assert!(matches!(deposit().await.unwrap_err(), CommandError::Unknown(_)));
    assert_eq!(deposit().await.unwrap().version, Version(1));
    assert_eq!(accounts(&store).load(&1).await.unwrap().balance, 5);
}

#[tokio::test(start_paused = true)]
async fn decisions_and_commits_are_settled_likewise() {
    let store = Scripted::default();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 1).await;
    store.then([Step::LoseAnswer]);
    decide(&handle, &Enrol::new("rust", "ada")).await.unwrap();
    assert_identical(&store.appends()[1..], 2);
    assert_eq!(events_of(&store, "enrolment-rust").await.len(), 1);

    store.then([Step::LoseAnswer]);
    let commit = Commit::new(&handle);
    commit.handle::<Account>(&1, Deposit(5)).await.unwrap();
    commit.append().await.unwrap();
    assert_identical(&store.appends()[3..], 2);
    assert_eq!(events_of(&store, "account-1").await.len(), 1);

    store.then(vec![Step::LoseRequest; 9]);
    let commit = Commit::new(&handle);
    commit.handle::<Account>(&1, Deposit(5)).await.unwrap();
    assert!(matches!(commit.append().await.unwrap_err(), AppendError::Unknown(_)));
}
