//! Decisions over several entities: what they read, what stops them, and where their events go.

use mainspring_domain::{CommandError, Decision, LoadError, decide};
use mainspring_event::{Event, Position, StreamName, Tagged, Version};
use mainspring_store::{AppendError, Conflict, MemoryStore, Query, Store};
use tokio::task::JoinSet;

use crate::{
    bank::{events_of, raw},
    courses::{Enrol, Fact, Refused, enrolled, fact_append, left, open},
    scripted::{Scripted, Step},
};

#[tokio::test]
async fn a_decision_reads_across_streams_and_writes_to_the_stream_of_its_first_tag() {
    let memory = MemoryStore::new();
    let store = Store::new(memory.clone());
    open(&store, "rust", 1).await;
    let receipt = decide(&store, &Enrol::new("rust", "ada")).await.unwrap();
    assert_eq!((receipt.position, receipt.version, receipt.events.len()), (Position(2), Version(1), 1));
    let stored = events_of(&memory, "enrolment-rust").await.remove(0).event;
    assert_eq!((stored.id, stored.event_type.as_str()), (receipt.events[0], "StudentEnrolled"));
    assert_eq!(stored.tags.iter().map(|tag| tag.as_str()).collect::<Vec<_>>(), ["course:rust", "student:ada"]);

    let again = decide(&store, &Enrol::new("rust", "ada")).await.unwrap();
    assert_eq!((again.position, again.events.len()), (Position(2), 0));
    let full = decide(&store, &Enrol::new("rust", "bob")).await.unwrap_err();
    assert!(matches!(full, CommandError::Rejected(Refused::Full)), "{full:?}");
    for course in ["go", "zig"] {
        open(&store, course, 9).await;
    }
    decide(&store, &Enrol::new("go", "ada")).await.unwrap();
    let busy = decide(&store, &Enrol::new("zig", "ada")).await.unwrap_err();
    assert!(matches!(busy, CommandError::Rejected(Refused::TooMany)), "{busy:?}");
}

#[test]
fn the_query_asks_for_each_tag_in_the_types_that_carry_its_key() {
    let Query::Items(items) = Enrol::new("rust", "ada").query().unwrap() else { panic!("a derived query has items") };
    let items: Vec<_> = items
        .iter()
        .map(|item| (item.tags[0].as_str(), item.types.iter().map(|name| name.as_str()).collect::<Vec<_>>()))
        .collect();
    let by_course = vec!["CourseOpened", "StudentEnrolled", "StudentLeft"];
    assert_eq!(items, [("course:rust", by_course), ("student:ada", vec!["StudentEnrolled", "StudentLeft"])]);
}

#[tokio::test]
async fn a_fact_that_comes_in_between_makes_it_decide_anew() {
    let store = Scripted::default();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 1).await;
    store.then([Step::Rival(fact_append(&enrolled("rust", "bob")))]);
    let full = decide(&handle, &Enrol::new("rust", "ada")).await.unwrap_err();
    assert!(matches!(full, CommandError::Rejected(Refused::Full)), "{full:?}");
}

#[tokio::test]
async fn what_the_condition_leaves_out_does_not_disturb() {
    let store = Scripted::default();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 2).await;
    decide(&handle, &Enrol::new("rust", "bob")).await.unwrap();
    store.then([Step::Rival(fact_append(&left("rust", "bob")))]);
    decide(&handle, &Enrol::new("rust", "ada")).await.unwrap();
    assert_eq!(store.appends().len(), 3);
}

#[tokio::test]
async fn a_stale_read_is_read_again() {
    let store = Scripted::default();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 1).await;
    store.then([Step::Stale]);
    decide(&handle, &Enrol::new("rust", "ada")).await.unwrap();
    assert_eq!((store.reads(), store.appends().len()), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn it_gives_up_after_ten_conflicts() {
    let store = Scripted::default();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 99).await;
    store.then((0..10).map(|student| Step::Rival(fact_append(&enrolled("rust", &student.to_string())))));
    let error = decide(&handle, &Enrol::new("rust", "ada")).await.unwrap_err();
    let CommandError::Conflict { attempts: 10, last: AppendError::Conflict(last) } = error else { panic!("{error:?}") };
    assert!(matches!(last, Conflict::Match { position: Position(11), after: Some(Position(10)), .. }), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_students_and_few_seats() {
    let memory = MemoryStore::new();
    let store = Store::new(memory.clone());
    open(&store, "rust", 5).await;
    let mut students = JoinSet::new();
    for student in 0..64 {
        let store = store.clone();
        students.spawn(async move { decide(&store, &Enrol::new("rust", &student.to_string())).await });
    }
    let (mut seated, mut refused) = (0, 0);
    for outcome in students.join_all().await {
        match outcome {
            Ok(_) => seated += 1,
            Err(CommandError::Rejected(Refused::Full)) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((seated, refused, events_of(&memory, "enrolment-rust").await.len()), (5, 59, 5));
}

#[tokio::test]
async fn an_unreadable_fact_is_named_and_never_skipped() {
    let store = Store::new(MemoryStore::new());
    let mut fact = raw("imported-1", "CourseOpened", 2, r#"{"course":"rust"}"#);
    fact.tags = vec!["course:rust".parse().unwrap()];
    store.append(mainspring_store::Append::new([fact])).await.unwrap();
    let error = decide(&store, &Enrol::new("rust", "ada")).await.unwrap_err();
    let CommandError::Undecodable { stream, position: Position(1), .. } = error else { panic!("{error:?}") };
    assert_eq!(stream, "imported-1");
}

/// Ends a term; without a number there is neither a tag to read by nor one to file the event under.
#[derive(Tagged)]
#[event(crate = mainspring_event)]
struct EndTerm {
    #[tag]
    term: Option<u32>,
    filed: Option<u32>,
}

impl Decision for EndTerm {
    const CATEGORY: &'static str = "term";
    type State = ();
    type Event = Fact;
    type Error = std::convert::Infallible;

    fn evolve(&self, (): &mut (), _: &Fact) {}

    fn decide(&self, (): &()) -> Result<Vec<Fact>, Self::Error> {
        Ok(vec![Fact::TermEnded { term: self.filed }])
    }
}

#[tokio::test]
async fn a_decision_needs_something_to_read_and_its_events_a_tag() {
    let store = Store::new(MemoryStore::new());
    let untagged = decide(&store, &EndTerm { term: None, filed: Some(1) }).await.unwrap_err();
    let CommandError::Invalid(source) = untagged else { panic!("{untagged:?}") };
    assert!(source.to_string().contains("selects no events"), "{source}");
    let unfiled = decide(&store, &EndTerm { term: Some(1), filed: None }).await.unwrap_err();
    let CommandError::Invalid(source) = unfiled else { panic!("{unfiled:?}") };
    assert_eq!(
        source.to_string(),
        "event `TermEnded` has no tag, so no stream of category `term`: mark one of its fields with `#[tag]`"
    );
    decide(&store, &EndTerm { term: Some(1), filed: Some(1) }).await.unwrap();
}

#[test]
fn errors_of_loading_become_errors_of_commands() {
    let stream = StreamName::of("account", 1).unwrap();
    let convert = |error| CommandError::<Refused>::from(error);
    assert!(matches!(convert(LoadError::Tombstoned { stream: stream.clone() }), CommandError::Tombstoned { .. }));
    let first = Version(2);
    assert!(matches!(convert(LoadError::Truncated { stream, first }), CommandError::Truncated { .. }));
    assert_eq!(Fact::TYPES.len(), 4);
}
