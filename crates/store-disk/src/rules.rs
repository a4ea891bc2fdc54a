//! Retention: which events are hidden. Kept in memory for the streams and categories that have a rule.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use mainspring_event::StreamName;
use mainspring_store::{Retained, Retention, StreamChange};

use crate::{format::frame::Kind, index::Index, names::Names};

/// The rules of a store, as its stream changes left them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    streams: HashMap<String, StreamRule>,
    categories: HashMap<String, Retention>,
}

#[derive(Clone, Copy, Debug, Default)]
struct StreamRule {
    truncated_before: u64,
    tombstoned: bool,
    retention: Option<Retention>,
}

/// What of one stream is retained at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) tombstoned: bool,
    truncated_before: u64,
    max_count: Option<u64>,
    /// Events recorded before this many nanoseconds after 1970 are gone.
    oldest: Option<i64>,
}

impl Rules {
    pub(crate) fn apply(&mut self, change: &StreamChange) {
        match change {
            StreamChange::Retain { target: Retained::Stream(stream), retention } => {
                self.stream(stream.as_str()).retention = Some(*retention);
            }
            StreamChange::Retain { target: Retained::Category(category), retention } => {
                self.categories.insert(category.as_str().to_owned(), *retention);
            }
            StreamChange::TruncateBefore { stream, version } => {
                let rule = self.stream(stream.as_str());
                rule.truncated_before = rule.truncated_before.max(version.0);
            }
            StreamChange::Tombstone { stream } => self.stream(stream.as_str()).tombstoned = true,
        }
    }

    /// Whether applying a change would change nothing.
    pub(crate) fn has(&self, change: &StreamChange) -> bool {
        let rule = |stream: &StreamName| self.streams.get(stream.as_str()).copied().unwrap_or_default();
        match change {
            StreamChange::Retain { target: Retained::Stream(stream), retention } => {
                rule(stream).retention == Some(*retention)
            }
            StreamChange::Retain { target: Retained::Category(category), retention } => {
                self.categories.get(category.as_str()) == Some(retention)
            }
            StreamChange::TruncateBefore { stream, version } => version.0 <= rule(stream).truncated_before,
            StreamChange::Tombstone { stream } => rule(stream).tombstoned,
        }
    }

    fn stream(&mut self, name: &str) -> &mut StreamRule {
        self.streams.entry(name.to_owned()).or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty() && self.categories.is_empty()
    }

    /// Whether a rule may hide events with tags: internal streams have none.
    pub(crate) fn may_hide_tags(&self) -> bool {
        let names: HashSet<_> = self.streams.keys().chain(self.categories.keys()).collect();
        names.iter().any(|name| !name.starts_with('$'))
    }

    /// The codes of the streams of a segment to which a rule may apply.
    pub(crate) fn streams_of(&self, index: &dyn Index, names: &dyn Names) -> Vec<u32> {
        let ruled: Vec<bool> =
            (0..index.categories()).map(|code| self.categories.contains_key(index.category_name(code))).collect();
        let all = index.names_of(Kind::Stream);
        if !ruled.contains(&true) && self.streams.len() < all as usize {
            return self.streams.keys().filter_map(|name| index.find(Kind::Stream, name)).collect();
        }
        let applies = |code: &u32| {
            ruled[index.category_of(*code) as usize] || self.streams.contains_key(names.name(Kind::Stream, *code))
        };
        (0..all).filter(applies).collect()
    }

    /// Whether everything of `stream` below `version` is gone for ever, whatever other rules come.
    pub(crate) fn is_gone_for_ever(&self, stream: &str, version: u64) -> bool {
        self.streams.get(stream).is_some_and(|rule| rule.tombstoned || rule.truncated_before >= version)
    }

    /// What is retained of `stream`; `None` where no rule applies.
    pub(crate) fn limits(&self, stream: &str, now: Timestamp) -> Option<Limits> {
        let category = stream.split_once('-').map_or(stream, |(category, _)| category);
        let rule = self.streams.get(stream);
        let retention = rule.and_then(|rule| rule.retention).or_else(|| self.categories.get(category).copied());
        if rule.is_none() && retention.is_none() {
            return None;
        }
        let StreamRule { truncated_before, tombstoned, .. } = rule.copied().unwrap_or_default();
        let Retention { max_count, max_age } = retention.unwrap_or_default();
        let oldest = max_age.map(|age| {
            let oldest = now.as_nanosecond() - i128::try_from(age.as_nanos()).unwrap_or(i128::MAX);
            i64::try_from(oldest.max(i128::from(i64::MIN))).unwrap_or(i64::MAX)
        });
        Some(Limits { tombstoned, truncated_before, max_count, oldest })
    }
}

impl Limits {
    /// Whether it depends on where the stream stands.
    pub(crate) fn counts(&self) -> bool {
        self.max_count.is_some()
    }

    /// Whether an event of the stream, which stands at `head`, is still there.
    pub(crate) fn retains(&self, version: u64, recorded: i64, head: u64) -> bool {
        !self.tombstoned
            && version >= self.truncated_before
            && self.max_count.is_none_or(|count| version.saturating_add(count) > head)
            && self.oldest.is_none_or(|oldest| recorded >= oldest)
    }
}
