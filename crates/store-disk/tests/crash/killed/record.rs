//! What was heard from processes that are gone, and whether a store shows it.

use std::collections::{BTreeMap, HashMap};

use mainspring_event::{EventId, Position, StoredEvent, Version};
use mainspring_store::{EventStore, Query, Read, ReadFrom};
use mainspring_store_disk::DiskStore;

use super::load::KEPT;
use crate::kit::{events, stream};

/// One acknowledged event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Heard {
    stream: String,
    version: Version,
    id: EventId,
    checksum: u32,
}

/// What was acknowledged, and how far it has been found again.
#[derive(Default)]
pub(super) struct Record {
    /// By position.
    acknowledged: BTreeMap<u64, Heard>,
    conditional: u64,
    /// Where the stream `t-1` was truncated.
    truncated_before: Version,
    /// The newest acknowledged version of each stream.
    heads: HashMap<String, Version>,
    /// Everything up to here was looked at.
    after: Position,
    /// The newest version of each stream up to there.
    versions: HashMap<String, Version>,
}

impl Record {
    /// Notes what a process said.
    pub(super) fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["t", version] = words[..] {
            self.truncated_before = Version(version.parse().unwrap());
            return;
        }
        for event in words.chunks_exact(6) {
            let [kind, stream, version, position, id, checksum] = event else { unreachable!("six words are six") };
            let version = Version(version.parse().unwrap());
            let checksum = u32::from_str_radix(checksum, 16).unwrap();
            let heard = Heard { stream: (*stream).to_owned(), version, id: id.parse().unwrap(), checksum };
            let before = self.acknowledged.insert(position.parse().unwrap(), heard);
            assert_eq!(before, None, "two events were acknowledged at {position}");
            let head = self.heads.entry((*stream).to_owned()).or_default();
            *head = version.max(*head);
            self.conditional += u64::from(*kind == "c");
        }
    }

    /// Looks at everything the next time.
    pub(super) fn begin_again(&mut self) {
        (self.after, self.versions) = (Position::START, HashMap::new());
    }

    /// Events acknowledged, under conditions, removed, and there.
    pub(super) fn counts(&self) -> (u64, u64, u64, u64) {
        let head = |name: &str| self.heads.get(name).copied().unwrap_or_default().0;
        let removed = head("r-1").saturating_sub(KEPT) + self.truncated_before.0.saturating_sub(1);
        (self.acknowledged.len() as u64, self.conditional, removed, self.after.0)
    }

    /// Looks for everything acknowledged above what was looked at before.
    pub(super) async fn check(&mut self, store: &DiskStore, at_rest: bool) {
        let head = store.info().await.unwrap().head;
        let last = self.acknowledged.last_key_value().map_or(0, |(position, _)| *position);
        assert!(head.0 >= last, "an acknowledged event at {last} is gone; the head is {head}");
        let found = events(store, Read::new(Query::All).from(ReadFrom::After(self.after))).await.unwrap();
        assert!(found.is_sorted_by(|one, next| one.position < next.position), "out of order");
        let found: Vec<_> = found.into_iter().filter(|event| event.position <= head).collect();
        self.all_there(&found);
        self.nothing_else(&found);
        self.after = head;
        self.removed(store, at_rest).await;
    }

    /// Every acknowledged event that nothing removes is there.
    fn all_there(&self, found: &[StoredEvent]) {
        let by_position: HashMap<_, _> = found.iter().map(|event| (event.position.0, event)).collect();
        for (position, heard) in self.acknowledged.range(self.after.0 + 1..) {
            let Some(StoredEvent { event, version, .. }) = by_position.get(position) else {
                assert!(heard.stream.starts_with(['r', 't']), "at {position} there was {heard:?}");
                continue;
            };
            let checksum = crc32c::crc32c(&event.payload);
            let there = Heard { stream: event.stream.to_string(), version: *version, id: event.id, checksum };
            assert_eq!(&there, heard, "at {position} there is something else");
        }
    }

    /// Versions have no holes, and commits are whole, acknowledged or not.
    fn nothing_else(&mut self, found: &[StoredEvent]) {
        let kept = found.iter().filter(|event| event.event.stream.as_str().starts_with(['a', 'c']));
        let mut commits: HashMap<String, Vec<(u64, u64, u64)>> = HashMap::new();
        for StoredEvent { event, version, position, .. } in kept {
            let head = self.versions.entry(event.stream.to_string()).or_default();
            assert_eq!(version.0, head.0 + 1, "a hole in {} at {position}", event.stream);
            *head = *version;
            let text = String::from_utf8_lossy(&event.payload);
            let words: Vec<_> = text.splitn(4, ' ').collect();
            let place = (words[1].parse().unwrap(), words[2].parse().unwrap(), position.0);
            commits.entry(words[0].to_owned()).or_default().push(place);
        }
        for (commit, events) in commits {
            let first = events[0].2;
            let whole = events.iter().zip(0..).all(|((index, size, position), number)| {
                (*index, *size, *position) == (number, events.len() as u64, first + number)
            });
            assert!(whole, "a part of commit {commit}: {events:?}");
        }
    }

    /// What was removed is hidden, and nothing else of these streams. While somebody writes, the batches of one read may
    /// show different moments.
    async fn removed(&self, store: &DiskStore, at_rest: bool) {
        for name in ["r-1", "t-1"] {
            let found = events(store, Read::new(Query::stream(stream(name)))).await.unwrap();
            let contiguous = found.is_sorted_by(|one, next| one.version.0 + 1 == next.version.0);
            assert!(contiguous || !at_rest, "a hole in {name}");
            let version = |event: Option<&StoredEvent>| event.map_or(Version::NONE, |event| event.version);
            let (first, last) = (version(found.first()), version(found.last()));
            let head = self.heads.get(name).copied().unwrap_or_default();
            assert!(last >= head, "{name} is at {}, and was at {head}", last);
            if name == "r-1" {
                let kept = last.0.min(KEPT);
                assert!(found.len() as u64 == kept || !at_rest, "{name} keeps {KEPT} events: {found:?}");
            } else {
                assert!(first >= self.truncated_before, "{name} shows what was removed");
            }
        }
    }
}
