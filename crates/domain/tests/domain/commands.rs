//! Commands on one aggregate: what they store, what they say, and how they meet others.

use mainspring_domain::{CommandError, Decider, LoadError, Receipt, Repository};
use mainspring_event::{Event, Position, Version};
use mainspring_store::{Append, AppendError, Conflict, EventStore, Expected, MemoryStore, Store, StreamChange};
use tokio::task::JoinSet;

use crate::{
    bank::{Account, AccountCommand::*, Overdrawn, accounts, events_of, raw, stream},
    scripted::{Scripted, Step},
};

fn rival_deposit() -> Step {
    Step::Rival(Append::new([raw("account-1", "Deposited", 2, r#"{"cents":1}"#)]))
}

#[tokio::test]
async fn a_command_is_stored_and_its_receipt_says_where() {
    let store = MemoryStore::new();
    store.append(Append::new([raw("other-1", "Noted", 1, "{}")])).await.unwrap();
    let receipt = accounts(&store).handle(&1, DepositCents(3)).await.unwrap();
    assert_eq!((receipt.position, receipt.version), (Position(4), Version(3)));
    let stored = events_of(&store, "account-1").await;
    assert_eq!(stored.iter().map(|event| event.event.id).collect::<Vec<_>>(), receipt.events);
    assert_eq!((stored[0].event.event_type.as_str(), stored[0].event.schema_version), ("Deposited", 2));
    assert_eq!(accounts(&store).load(&1).await.unwrap(), Account { balance: 3, movements: 3 });
}

#[tokio::test]
async fn a_new_aggregate_takes_one_read_and_one_append() {
    let store = Scripted::default();
    accounts(&store).handle(&1, Deposit(5)).await.unwrap();
    assert_eq!((store.reads(), store.appends().len()), (1, 1));
}

#[tokio::test]
async fn a_refused_command_stores_nothing() {
    let store = Scripted::default();
    let refused = accounts(&store).handle(&1, Withdraw(5)).await.unwrap_err();
    assert!(refused.is_rejected());
    assert!(matches!(refused, CommandError::Rejected(Overdrawn { balance: 0 })), "{refused:?}");
    assert_eq!(store.appends(), []);
}

#[tokio::test]
async fn where_nothing_happens_the_receipt_says_how_far_was_read() {
    let store = Scripted::default();
    store.append(Append::new([raw("other-1", "Noted", 1, "{}")])).await.unwrap();
    let receipt: Receipt = accounts(&store).handle(&1, Empty).await.unwrap();
    assert_eq!((receipt.position, receipt.version, receipt.events.len()), (Position(1), Version(0), 0));
    assert_eq!(store.appends().len(), 1);
}

#[tokio::test]
async fn a_conflict_makes_it_decide_anew() {
    let store = Scripted::default();
    accounts(&store).handle(&1, Deposit(5)).await.unwrap();
    store.then([rival_deposit()]);
    let receipt = accounts(&store).handle(&1, Empty).await.unwrap();
    assert_eq!(receipt.version, Version(3));
    let last = events_of(&store, "account-1").await.pop().unwrap();
    assert_eq!(last.event.payload, r#"{"cents":6}"#);
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_after_ten_conflicts() {
    let store = Scripted::new((0..10).map(|_| rival_deposit()));
    let error = accounts(&store).handle(&1, Deposit(5)).await.unwrap_err();
    let CommandError::Conflict { attempts: 10, last: AppendError::Conflict(last) } = error else { panic!("{error:?}") };
    let (stream, expected) = (stream("account-1"), Expected::Exactly(Version(9)));
    assert_eq!(last, Conflict::Stream { stream, expected, actual: Version(10) });
    assert_eq!(accounts(&store).load(&1).await.unwrap().balance, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_commands_on_one_stream_loses_none() {
    /// Gives way between reading and appending, so that commands do overtake each other.
    #[derive(Clone, Default)]
    struct Yielding(MemoryStore);
    #[async_trait::async_trait]
    impl EventStore for Yielding {
        async fn append(&self, append: Append) -> Result<mainspring_store::Appended, AppendError> {
            tokio::task::yield_now().await;
            self.0.append(append).await
        }
        fn read(&self, read: mainspring_store::Read) -> mainspring_store::BatchStream {
            self.0.read(read)
        }
        async fn info(&self) -> Result<mainspring_store::Info, mainspring_store::ReadError> {
            self.0.info().await
        }
        fn capabilities(&self) -> mainspring_store::Capabilities {
            self.0.capabilities()
        }
    }

    let store = Yielding::default();
    let mut commands = JoinSet::new();
    for _ in 0..64 {
        let accounts = accounts(&store);
        commands.spawn(async move { accounts.handle(&1, Deposit(1)).await });
    }
    let mut versions: Vec<_> =
        commands.join_all().await.into_iter().map(|receipt| receipt.unwrap().version.0).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=64).collect::<Vec<_>>());
    assert_eq!(accounts(&store).load(&1).await.unwrap().balance, 64);
}

#[tokio::test]
async fn a_truncated_stream_is_an_error_and_never_a_partial_state() {
    let store = Scripted::default();
    let accounts = accounts(&store);
    accounts.handle(&1, DepositCents(3)).await.unwrap();
    let change = StreamChange::TruncateBefore { stream: stream("account-1"), version: Version(3) };
    store.append(Append::default().change(change)).await.unwrap();
    let error = accounts.load(&1).await.unwrap_err();
    assert!(matches!(error, LoadError::Truncated { first: Version(3), .. }), "{error:?}");
    let error = accounts.handle(&1, Deposit(1)).await.unwrap_err();
    assert!(matches!(error, CommandError::Truncated { first: Version(3), .. }), "{error:?}");
    store.hide_truncation();
    let error = accounts.load(&1).await.unwrap_err();
    assert!(matches!(error, LoadError::Truncated { first: Version(3), .. }), "{error:?}");
}

#[tokio::test]
async fn a_tombstoned_stream_takes_no_commands() {
    let store = MemoryStore::new();
    accounts(&store).handle(&1, Deposit(1)).await.unwrap();
    let change = StreamChange::Tombstone { stream: stream("account-1") };
    store.append(Append::default().change(change)).await.unwrap();
    assert!(matches!(accounts(&store).load(&1).await.unwrap_err(), LoadError::Tombstoned { .. }));
    assert!(matches!(accounts(&store).handle(&1, Deposit(1)).await.unwrap_err(), CommandError::Tombstoned { .. }));
}

#[tokio::test]
async fn an_unreadable_event_is_named_and_never_skipped() {
    let store = MemoryStore::new();
    accounts(&store).handle(&1, Deposit(1)).await.unwrap();
    store.append(Append::new([raw("account-1", "Renamed", 1, "{}")])).await.unwrap();
    let error = accounts(&store).handle(&1, Deposit(1)).await.unwrap_err();
    let CommandError::Undecodable { stream, position: Position(2), source } = &error else { panic!("{error:?}") };
    assert_eq!(stream, "account-1");
    assert!(source.to_string().contains("Renamed"), "{source}");
    assert!(matches!(accounts(&store).load(&1).await.unwrap_err(), LoadError::Undecodable { .. }));
}

#[tokio::test]
async fn a_failure_is_handed_to_the_caller() {
    let store = Scripted::new([Step::Fail]);
    assert!(matches!(accounts(&store).handle(&1, Deposit(1)).await.unwrap_err(), CommandError::Failed(_)));
    assert_eq!(store.appends().len(), 1);
    store.fail_reads_of("account-1");
    assert!(matches!(accounts(&store).handle(&1, Deposit(1)).await.unwrap_err(), CommandError::Failed(_)));
    assert!(matches!(accounts(&store).load(&1).await.unwrap_err(), LoadError::Failed(_)));
}

#[tokio::test]
async fn what_can_never_be_stored_is_invalid() {
    #[derive(Debug, Default)]
    struct Notes;
    #[derive(serde::Serialize, serde::Deserialize, Event)]
    #[event(crate = mainspring_event)]
    struct Noted {
        text: String,
    }
    impl Decider for Notes {
        const CATEGORY: &'static str = "notes";
        type Id = str;
        type Command = usize;
        type Event = Noted;
        type Error = std::convert::Infallible;
        fn evolve(&mut self, _: &Noted) {}
        fn decide(&self, length: usize) -> Result<Vec<Noted>, Self::Error> {
            Ok(vec![Noted { text: "x".repeat(length) }])
        }
    }
    let notes = Repository::<Notes>::new(&Store::new(MemoryStore::new()));
    assert!(matches!(notes.handle("a\nb", 1).await.unwrap_err(), CommandError::Invalid(_)));
    assert!(matches!(notes.load("a\nb").await.unwrap_err(), LoadError::Invalid(_)));
    assert!(matches!(notes.handle("a", 5 << 20).await.unwrap_err(), CommandError::Invalid(_)));
    assert_eq!(notes.handle("a", 1).await.unwrap().version, Version(1));
}
