//! Histories by hand: what has an order, and one for each way in which there can be none.

use futures_util::{FutureExt, StreamExt};
use mainspring_event::{NewEvent, Position, StoredEvent, Version};
use mainspring_store::{
    Append, Appended, Conflict, EventBatch, EventStore, Expected, MemoryStore, Query, Read, ReadFrom, Written,
};

use super::{
    Linearization, Machine, NotLinearizable,
    history::{Answer, Call, End, Moment, Print, Said, Seen},
    log::Log,
    order,
};
use crate::sample::{event, stream, tagged, with_tags};

/// Calls at moments that a test chooses, on what the model holds.
struct Tale {
    store: MemoryStore,
    calls: Vec<Call>,
    machine: Machine,
}

impl Tale {
    fn new() -> Self {
        Self { store: MemoryStore::new(), calls: Vec::new(), machine: Machine::Sound }
    }

    fn failing() -> Self {
        Self { machine: Machine::Failing, ..Self::new() }
    }

    fn call(&mut self, began: Moment, said: Said) -> &mut Self {
        self.calls.push(Call { client: 0, began, said });
        self
    }

    /// Stores events, which takes no call.
    fn stored(&mut self, events: &[NewEvent]) -> Appended {
        self.store
            .append(Append::new(events.to_vec()))
            .now_or_never()
            .expect("the model never waits")
            .expect("it writes")
    }

    /// Stores events by an append with these moments.
    fn wrote(&mut self, (began, at): (Moment, Moment), append: &Append) -> &mut Self {
        let appended = self.stored(&append.events);
        self.answered((began, at), append, Answer::Written(appended))
    }

    fn answered(&mut self, (began, at): (Moment, Moment), append: &Append, answer: Answer) -> &mut Self {
        self.call(began, Said::Append(append.clone(), Some((at, answer))))
    }

    fn head(&mut self, (began, at): (Moment, Moment), head: u64) -> &mut Self {
        self.call(began, Said::Head(Some((at, Position(head)))))
    }

    fn events(&self) -> Vec<(StoredEvent, Print)> {
        let batches: Vec<_> = self.store.read(Read::new(Query::All)).collect().now_or_never().expect("it never waits");
        let batches: Vec<EventBatch> = batches.into_iter().map(|batch| batch.expect("the model can be read")).collect();
        let events = batches.iter().flat_map(EventBatch::iter);
        events.map(|event| (event.to_stored().expect("valid names"), Print::of(&event))).collect()
    }

    /// A batch of the events at these positions.
    fn batch(&self, at: Moment, through: u64, caught_up: bool, positions: &[u64]) -> Seen {
        let all = self.events();
        let events = positions.iter().map(|position| (Position(*position), all[*position as usize - 1].1)).collect();
        Seen { at, through: Position(through), caught_up, events }
    }

    fn read(&mut self, began: Moment, read: Read, seen: Vec<Seen>) -> &mut Self {
        let end = if read.follow { End::Open } else { End::Ended };
        self.call(began, Said::Read(read, seen, end))
    }

    fn judge(&self) -> Result<Linearization, NotLinearizable> {
        let log = Log::of(&self.store, &self.calls).now_or_never().expect("the model never waits");
        order::find(&mut log?, &self.calls, self.machine)
    }

    #[track_caller]
    fn stands(&self) -> Linearization {
        self.judge().unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn falls(&self, because: &str) {
        let error = self.judge().expect_err("there is no order").to_string();
        assert!(error.contains(because), "{error}");
    }
}

fn one(name: &str) -> Append {
    Append::new([event(name)])
}

fn conflict(name: &str, expected: Expected, actual: u64) -> Answer {
    Answer::Conflict(Conflict::Stream { stream: stream(name), expected, actual: Version(actual) })
}

#[test]
fn answers_given_at_once_may_come_in_any_order_that_fits() {
    let mut tale = Tale::new();
    tale.wrote((0, 9), &one("a-1")).wrote((1, 8), &one("a-1"));
    tale.head((2, 3), 2).head((4, 5), 2);
    let expecting = one("a-1").expect(stream("a-1"), Expected::Exactly(Version(7)));
    tale.answered((0, 7), &expecting, conflict("a-1", Expected::Exactly(Version(7)), 1));
    let found = tale.stands();
    assert_eq!((found.calls, found.commits, found.conflicts), (5, 2, 1));
}

#[test]
fn positions_follow_time() {
    let mut tale = Tale::new();
    tale.wrote((5, 6), &one("a-1")).wrote((1, 2), &one("a-1"));
    tale.falls("commit 1 comes after moment 5, and commit 2 before moment 2");
}

#[test]
fn what_was_answered_is_seen_by_whoever_comes_later() {
    let mut tale = Tale::new();
    tale.wrote((1, 2), &one("a-1")).head((3, 4), 0);
    tale.falls("commit 1 comes after moment 3, and commit 1 before moment 2");
    let mut tale = Tale::new();
    tale.wrote((1, 2), &one("a-1"));
    tale.read(3, Read::new(Query::All), vec![tale.batch(4, 0, true, &[])]);
    tale.falls("in the states 0 to 0 (heads 0 to 0); tried were those that time leaves to it, in the states 1 to 1");
}

#[test]
fn what_was_seen_once_is_seen_later() {
    let mut tale = Tale::new();
    tale.wrote((1, 9), &one("a-1")).head((2, 3), 1).head((4, 5), 0);
    tale.falls("commit 1 comes after moment 4, and commit 1 before moment 3");
}

#[test]
fn a_conflict_has_the_numbers_of_its_time() {
    let two = Expected::Exactly(Version(2));
    let history = |actual, moments| {
        let mut tale = Tale::new();
        tale.wrote((1, 2), &one("a-1"))
            .wrote((3, 6), &one("b-1"))
            .wrote((7, 8), &one("a-1"))
            .wrote((9, 10), &one("a-1"));
        tale.answered(moments, &one("a-1").expect(stream("a-1"), two), conflict("a-1", two, actual));
        tale
    };
    history(1, (4, 5)).stands();
    history(3, (4, 12)).stands();
    history(0, (4, 5)).falls("commit 1 comes after moment 4");
    history(3, (4, 5)).falls("commit 4 before moment 5");
    history(2, (4, 12)).falls("so that is no conflict");
    history(9, (4, 12)).falls("in no state");
    let mut other = Tale::new();
    other.answered((1, 2), &one("a-1"), conflict("a-1", Expected::Exists, 0)).falls("it has no such check");
}

#[test]
fn a_condition_names_its_first_match() {
    let query = with_tags(&["k:1"]);
    let append =
        |after| Append::new([event("b-1")]).check(mainspring_store::Check::NoMatch { query: query.clone(), after });
    let history = |after, position| {
        let mut tale = Tale::new();
        for moment in [0, 10, 20] {
            tale.wrote((moment, moment + 1), &Append::new([tagged("a-1", &["k:1"])]));
        }
        let conflict = Conflict::Match { query: query.clone(), after, position: Position(position) };
        tale.answered((13, 14), &append(after), Answer::Conflict(conflict));
        tale
    };
    history(None, 1).stands();
    history(Some(Position(1)), 2).stands();
    history(None, 2).falls("the first match is at");
    history(Some(Position(2)), 3).falls("commit 3 comes after moment 20, and commit 3 before moment 14");
}

#[test]
fn checks_hold_where_the_events_are() {
    let mut tale = Tale::new();
    tale.wrote((1, 2), &one("lease-1"));
    tale.wrote((3, 4), &one("a-1").expect(stream("lease-1"), Expected::NoStream));
    tale.falls("does not hold: before it the head is 1");
    let mut tale = Tale::new();
    let unread = mainspring_store::Check::NoMatch { query: Query::All, after: Some(Position(0)) };
    tale.wrote((1, 9), &one("a-1")).wrote((1, 9), &one("a-1").check(unread));
    tale.falls("does not hold: before it the head is 1");
    let mut tale = Tale::new();
    let append = Append::default().expect(stream("a-1"), Expected::Exists);
    tale.answered((1, 2), &append, Answer::Written(Appended { position: Position(0), written: Vec::new() }));
    tale.falls("does not hold when 0 is the head");
}

#[test]
fn a_repeat_gets_what_is_there() {
    let append = one("a-1");
    let mut tale = Tale::new();
    let original = tale.stored(&append.events);
    tale.answered((3, 8), &append, Answer::Written(original.clone()));
    tale.answered((2, 4), &append, Answer::Written(original.clone()));
    assert_eq!(tale.stands().repeats, 1);
    let elsewhere = Appended { position: Position(2), written: original.written.clone() };
    tale.answered((9, 10), &append, Answer::Written(elsewhere)).falls("its last event is at 1");
    let mut twice = Tale::new();
    twice.wrote((1, 2), &append).wrote((3, 4), &one("a-1"));
    let wrong = Written { position: Position(2), version: Version(2) };
    twice.answered((5, 6), &append, Answer::Written(Appended { position: Position(2), written: vec![wrong] }));
    twice.falls("is not at 2 as 2");
}

#[test]
fn ids_come_before_checks() {
    let append = one("a-1").expect(stream("a-1"), Expected::NoStream);
    let mut tale = Tale::new();
    tale.wrote((1, 2), &append).answered((3, 4), &append, conflict("a-1", Expected::NoStream, 1));
    tale.falls("in no state");
}

#[test]
fn a_reused_id_is_there_and_not_the_whole_append() {
    let append = one("a-1");
    let id = append.events[0].id;
    let longer = Append::new([append.events[0].clone(), event("a-1")]);
    let reused = Answer::Reused { id, position: Position(1) };
    let mut tale = Tale::new();
    tale.wrote((5, 6), &append).answered((4, 7), &longer, reused.clone()).stands();
    tale.answered((1, 2), &longer, reused.clone()).falls("commit 1 before moment 2");
    let mut tale = Tale::new();
    tale.wrote((1, 2), &append).answered((3, 4), &append, reused).falls("in no state");
    let mut tale = Tale::new();
    tale.answered((3, 4), &append, Answer::Reused { id, position: Position(1) }).falls("is not at 1");
}

#[test]
fn what_is_unknown_may_come_later_or_never_but_not_before() {
    let (lost, late) = (one("a-1"), one("a-1"));
    let mut tale = Tale::failing();
    tale.answered((1, 2), &lost, Answer::Unknown).answered((3, 4), &late, Answer::Unknown);
    tale.call(5, Said::Append(lost.clone(), None)).head((5, 6), 0);
    tale.wrote((7, 8), &one("b-1"));
    let appended = tale.stored(&late.events);
    tale.head((9, 10), 1).answered((11, 12), &late, Answer::Written(appended));
    assert_eq!(tale.stands().open, 3);
    tale.head((9, 10), 2).head((11, 12), 1).falls("commit 2 comes after moment 11, and commit 2 before moment 10");
    let mut early = Tale::failing();
    early.stored(&late.events);
    early.head((1, 2), 1).answered((3, 4), &late, Answer::Unknown).falls("commit 1 comes after moment 3");
}

#[test]
fn what_failed_or_was_refused_is_nowhere() {
    for answer in [Answer::Failed, conflict("a-1", Expected::Exists, 0)] {
        let mut tale = Tale::failing();
        let append = one("a-1").expect(stream("a-1"), Expected::Exists);
        tale.stored(&append.events);
        tale.answered((1, 2), &append, answer).falls("nobody can have written the event");
    }
    let mut part = Tale::failing();
    let append = Append::new([event("a-1"), event("b-1")]);
    part.stored(&append.events[..1]);
    part.answered((1, 2), &append, Answer::Unknown).falls("only a part of it is there");
    Tale::new().answered((1, 2), &append, Answer::Unknown).falls("nothing failed under the store");
    Tale::new().answered((1, 2), &append, Answer::Other("Stale".to_owned())).falls("is no answer to it");
}

/// Two commits of two events each, and one of one.
fn commits() -> Tale {
    let mut tale = Tale::new();
    for (moment, name) in [(10, "a-1"), (20, "b-1")] {
        tale.wrote((moment, moment + 1), &Append::new([event(name), tagged(name, &["k:1"])]));
    }
    tale.wrote((30, 31), &one("a-1"));
    tale
}

#[test]
fn a_follower_gets_each_event_once_and_whole_commits() {
    let follow = || Read::new(Query::All).follow();
    let history = |read: Read, batches: &[(u64, bool, &[u64])]| {
        let mut tale = commits();
        let seen = batches.iter().zip(50..);
        let seen = seen.map(|((through, end, events), at)| tale.batch(at, *through, *end, events)).collect();
        tale.read(5, read, seen);
        tale
    };
    history(follow(), &[(0, true, &[]), (2, false, &[1, 2]), (5, true, &[3, 4, 5]), (5, true, &[])]).stands();
    history(Read::new(with_tags(&["k:1"])).follow(), &[(4, false, &[2, 4])]).stands();
    history(follow().from(ReadFrom::After(Position(2))), &[(5, true, &[3, 4, 5])]).stands();
    history(follow().from(ReadFrom::End), &[(4, true, &[3, 4])]).stands();
    history(follow(), &[(2, false, &[1, 2]), (5, true, &[4, 5])]).falls("not at [3, 4, 5]");
    history(follow(), &[(2, false, &[1, 2]), (5, true, &[2, 3, 4, 5])]).falls("not at [3, 4, 5]");
    history(follow(), &[(4, false, &[1, 2, 3, 4]), (2, true, &[])]).falls("the one before came through 4");
    history(follow(), &[(3, false, &[1, 2, 3])]).falls("it ends inside the commit from 3 to 4");
    history(follow().from(ReadFrom::End), &[(4, true, &[4])]).falls("it does not begin with a commit");
    history(Read::new(Query::All), &[(2, false, &[1, 2])]).falls("it ended before the end");
    history(Read::new(Query::All), &[(9, true, &[1, 2, 3, 4, 5])]).falls("there are only 5 events");
    history(Read::new(Query::All).limit(3), &[(3, false, &[1, 2, 3])]).stands();
    let mut changed = commits();
    let mut batch = changed.batch(50, 2, false, &[1, 2]);
    batch.events[1].1 = batch.events[0].1;
    changed.read(5, follow(), vec![batch]).falls("is not what is stored there");
}

#[test]
fn a_batch_is_not_ahead_of_its_time() {
    let mut tale = commits();
    tale.read(5, Read::new(Query::All).follow(), vec![tale.batch(25, 5, true, &[1, 2, 3, 4, 5])]);
    tale.falls("commit 3 comes after moment 30, and commit 3 before moment 25");
}

#[test]
fn reading_backwards_begins_at_the_end_of_its_time() {
    let history = |began, batches: &[(u64, &[u64])]| {
        let mut tale = commits();
        let seen = batches.iter().zip(began + 1..);
        let seen = seen.map(|((through, events), at)| tale.batch(at, *through, *through == 0, events)).collect();
        tale.read(began, Read::new(Query::All).backwards(), seen);
        tale
    };
    history(25, &[(3, &[4, 3]), (0, &[2, 1])]).stands();
    history(25, &[(0, &[2, 1])]).falls("commit 2 comes after moment 25, and commit 2 before moment 21");
    history(25, &[(0, &[5, 4, 3, 2, 1])]).falls("commit 3 comes after moment 30, and commit 3 before moment 26");
    history(25, &[(0, &[4, 2, 1])]).falls("not at [4, 3, 2, 1]");
    history(25, &[(0, &[3, 2, 1])]).falls("in no state");
    history(25, &[(3, &[4, 3])]).falls("it ended before the end");
}
