//! Commits of users, with events of their own and without.

use std::time::Duration;

use mainspring_broker::{CommitError, InStore, Message, Settler};
use mainspring_event::Version;
use mainspring_store::{Append, AppendError, Expected};

use crate::kit::{self, Member, order, send, sent};

/// An event whose stream is not where the user expects it.
fn conflicting() -> Append {
    let event = kit::placed();
    let stream = event.stream.clone();
    Append::new([event]).expect(stream, Expected::Exactly(Version(7)))
}

fn in_store(settler: &dyn Settler) -> &dyn InStore {
    settler.in_store().expect("the broker is in a store")
}

async fn assert_conflict(settler: &dyn Settler, out: Message) {
    let refused = in_store(settler).append(conflicting(), vec![], vec![out]).await;
    assert!(matches!(refused, Err(CommitError::Append(AppendError::Conflict(_)))), "{refused:?}");
}

#[tokio::test]
async fn a_conflict_of_one_user_fails_nobody_else() {
    let broker = kit::open(kit::memory(), &kit::logged_orders()).await;
    let member = Member::of(&broker, "billing").await;
    let ((), other) = tokio::join!(assert_conflict(&*member.settler, order("out")), send(&broker, order("1")));
    other.expect("it has nothing to do with that");
}

/// The stretch of time that the message would have begun stayed in memory without its stream, and nothing could be
/// delayed into it.
#[tokio::test]
async fn a_conflict_of_a_user_leaves_the_schedule_usable() {
    let broker = kit::open(kit::memory(), &kit::logged_orders()).await;
    let member = Member::of(&broker, "billing").await;
    let later = || order("later").delay(Duration::from_secs(3_600));
    let ((), other) = tokio::join!(assert_conflict(&*member.settler, later()), send(&broker, order("1")));
    other.expect("it has nothing to do with that");
    for _ in 0..3 {
        sent(&broker, later()).await;
    }
    assert_eq!(kit::admin(&broker).schedules(9).await.unwrap().len(), 3);
}

/// The version of the broker's own stream is still checked, so that one whose place was taken does not say yes.
#[tokio::test]
async fn an_empty_commit_is_one() {
    let (store, _directory) = kit::disk();
    let broker = kit::open(store, &kit::orders()).await;
    let member = Member::of(&broker, "billing").await;
    assert_eq!(member.settler.commit(vec![], vec![]).await.unwrap(), []);
    let (appended, receipts) = in_store(&*member.settler).append(Append::default(), vec![], vec![]).await.unwrap();
    assert_eq!((appended.written.len(), receipts.len()), (0, 0));
}
