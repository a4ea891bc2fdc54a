//! Which segments a view asks, also where one segment has taken the place of several.

use std::sync::Arc;

use bytes::Bytes;
use mainspring_event::EventId;
use mainspring_store::{Lineage, Query, StoreId};
use tempfile::TempDir;

use super::{Matching, Segments};
use crate::{
    directory::{Key, Run, write_run},
    disk::OsDisk,
    format::frame::Kind,
    index::{Entry, MemoryIndex},
    segment::{Segment, SegmentPlace},
};

/// A sealed segment of this number with one event of each of these streams.
fn segment(number: u32, streams: &[&str], id: EventId) -> Arc<Segment> {
    let mut index = MemoryIndex::default();
    index.begin_frame(u64::from(number) * 10, 0);
    for stream in streams {
        let stream = index.intern(Kind::Stream, stream).0;
        let event_type = index.intern(Kind::Type, "Happened").0;
        index.add(&Entry { id, offset: 64, stream, event_type, version: u64::from(number), tags: &[] });
    }
    let place = SegmentPlace {
        number,
        generation: 0,
        base: 0,
        first_position: u64::from(number) * 10,
        file_name: number.to_string(),
    };
    Arc::new(Segment::sealed_in_memory(place, Bytes::new(), index))
}

fn run(first: u32, last: u32, streams: &[(&str, u32)]) -> Arc<Run> {
    let directory = TempDir::new().unwrap();
    let disk = OsDisk::create(directory.path()).unwrap();
    let identity = (StoreId::from_bytes([7; 16]), Lineage::from_bytes([8; 16]));
    let entries = streams.iter().map(|(stream, number)| (Key::stream(stream), *number));
    Arc::new(write_run(&disk, identity, first..=last, entries))
}

fn numbers(view: &Segments, stream: &str) -> Vec<u32> {
    view.holding(stream).map(|segment| segment.number).collect()
}

fn straw(number: u32) -> Arc<Segment> {
    segment(number, &["straw"], EventId::new())
}

#[test]
fn segments_without_a_run_are_always_asked_and_others_when_a_run_names_them() {
    let list = vec![straw(1), segment(2, &["needle"], EventId::new()), straw(3), straw(4), straw(5)];
    let bare = Segments::new(list.clone(), Vec::new());
    assert_eq!(numbers(&bare, "needle"), [1, 2, 3, 4, 5]);
    let view = Segments::new(list, vec![run(1, 3, &[("needle", 2), ("straw", 1), ("straw", 3), ("gone", 3)])]);
    assert_eq!(numbers(&view, "needle"), [2, 4, 5]);
    assert_eq!(numbers(&view, "straw"), [1, 3, 4, 5]);
    assert_eq!(numbers(&view, "gone"), [3, 4, 5], "a run may name a segment in vain");
    assert_eq!(numbers(&view, "unheard-of"), [4, 5]);
    assert_eq!((view.head("needle").unwrap(), view.head("straw").unwrap(), view.head("gone").unwrap()), (2, 5, 0));
    let without: Vec<_> = view.without_run().map(|(segment, numbers)| (segment.number, numbers)).collect();
    assert_eq!(without, [(4, 4..=4)], "of the last one it is not known yet what it covers");
}

#[test]
fn a_segment_that_covers_several_numbers_is_found_by_each() {
    // Segment 3 has taken the place of 3, 4 and 5, across the border of two runs; nothing is left of 7.
    let list =
        vec![straw(1), straw(2), segment(3, &["at-3", "at-4", "at-5"], EventId::new()), straw(6), straw(8), straw(9)];
    let first = run(1, 4, &[("at-3", 3), ("at-4", 4)]);
    let second = run(5, 8, &[("at-5", 5), ("at-7", 7)]);
    let view = Segments::new(list.clone(), vec![first.clone(), second.clone()]);
    for stream in ["at-3", "at-4", "at-5"] {
        assert_eq!(numbers(&view, stream), [3, 9]);
        assert_eq!(view.head(stream).unwrap(), 3);
    }
    assert_eq!(numbers(&view, "at-7"), [3, 6, 9], "in vain");
    // No single run knows all of it, so it is asked whatever they say.
    assert_eq!(numbers(&view, "unheard-of"), [3, 9]);
    let without: Vec<_> = view.without_run().map(|(segment, numbers)| (segment.number, numbers)).collect();
    assert_eq!(without, [(3, 3..=5)]);
    let own = run(3, 5, &[("at-3", 3), ("at-4", 3), ("at-5", 3)]);
    let view = Segments::new(list, vec![first, own, second]);
    assert_eq!(numbers(&view, "unheard-of"), [9]);
    assert_eq!(numbers(&view, "at-5"), [3, 9]);
}

#[test]
fn runs_are_neighbours_where_no_segment_lies_between() {
    let view = Segments::new(vec![straw(1), straw(2), straw(5), straw(6)], Vec::new());
    assert!(view.nothing_between(1..=1, 2..=2));
    assert!(view.nothing_between(2..=2, 5..=5));
    assert!(view.nothing_between(1..=2, 4..=6));
    assert!(!view.nothing_between(1..=1, 5..=5));
    assert!(!view.nothing_between(2..=2, 6..=6));
}

#[test]
fn time_ordered_ids_are_looked_for_where_their_time_is() {
    let at = |second: u64| {
        let time = uuid_at(second);
        EventId::from_bytes(time)
    };
    let list = vec![segment(1, &["a"], at(10)), segment(2, &["a"], at(20)), segment(3, &["a"], at(30)), straw(4)];
    let view = Segments::new(list, Vec::new());
    let matching = |second| view.matching(&Query::Ids(vec![at(second)]));
    assert_eq!(matching(20), Matching::Some(vec![1]));
    assert_eq!(matching(15), Matching::Some(vec![]));
    assert_eq!(view.find_id(at(30)).unwrap().map(|found| found.segment.number), Some(3));
    assert!(view.find_id(at(25)).unwrap().is_none());
    assert!(view.any_known([25, 10].into_iter().map(at)).unwrap());
    assert!(!view.any_known([25, 11].into_iter().map(at)).unwrap());
}

/// A UUIDv7 of this time.
fn uuid_at(second: u64) -> [u8; 16] {
    let mut bytes = [7; 16];
    bytes[..6].copy_from_slice(&(second * 1_000).to_be_bytes()[2..]);
    bytes[6] = 0x77;
    bytes[8] = 0x97;
    bytes
}

#[test]
fn matching_steps_over_what_cannot_match() {
    let some = Matching::Some(vec![2, 3, 7]);
    let after: Vec<_> = [0, 2, 4, 7, 8].map(|index| some.at_or_after(index)).into();
    assert_eq!(after, [Some(2), Some(2), Some(7), Some(7), None]);
    let before: Vec<_> = [0, 2, 4, 7, 8].map(|index| some.at_or_before(index)).into();
    assert_eq!(before, [None, Some(2), Some(3), Some(7), Some(7)]);
    assert!(some.contains(3) && !some.contains(4) && Matching::All.contains(4));
    assert_eq!((Matching::All.at_or_after(5), Matching::All.at_or_before(5)), (Some(5), Some(5)));
}
