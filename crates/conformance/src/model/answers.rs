//! Whether a refusal is true: a store may look at the parts of an append in any order that the contract leaves open.

use mainspring_event::{Position, StreamName};
use mainspring_store::{
    Append, AppendError, Check, Conflict, EventStore, Query, Read, ReadError, ReadFrom, Retained, StreamChange,
};

use super::Pair;
use crate::subject::collect;

impl Pair {
    /// Asserts that `actual` is a true answer to `append`, which the reference has refused with `expected`.
    pub(super) async fn assert_true(&self, append: &Append, expected: &AppendError, actual: &AppendError) {
        let holds = match (expected, actual) {
            // These come before the checks are looked at.
            (AppendError::TooLarge { .. }, AppendError::TooLarge { .. })
            | (AppendError::Invalid { .. }, AppendError::Invalid { .. }) => true,
            (AppendError::IdReused { .. }, AppendError::IdReused { id, position }) => {
                let at = self.written.iter().find(|stored| stored.event.id == *id).map(|stored| stored.position);
                append.events.iter().any(|event| event.id == *id) && at == Some(*position)
            }
            (
                AppendError::Conflict(_) | AppendError::Stale { .. } | AppendError::Tombstoned { .. },
                AppendError::Conflict(_) | AppendError::Stale { .. } | AppendError::Tombstoned { .. },
            ) => self.is_true(append, actual).await,
            _ => false,
        };
        assert!(holds, "{}\nis answered with {actual:?}\nand must be with {expected:?} or another truth", self.call);
    }

    async fn is_true(&self, append: &Append, actual: &AppendError) -> bool {
        if let AppendError::Tombstoned { stream } = actual {
            let read = Read::new(Query::stream(stream.clone())).limit(0);
            let answer = futures_util::StreamExt::next(&mut self.reference.read(read)).await;
            return mentions(append, stream) && matches!(answer, Some(Err(ReadError::Tombstoned { .. })));
        }
        for check in &append.checks {
            // A check alone writes nothing, so the reference can be asked again.
            let Err(alone) = self.reference.append(Append::default().check(check.clone())).await else { continue };
            let same = match (actual, alone) {
                (AppendError::Conflict(Conflict::Match { query, after, position }), AppendError::Conflict(_)) => {
                    let named = Check::NoMatch { query: query.clone(), after: *after };
                    named == *check && *position > after.unwrap_or_default() && self.matches(query, *position).await
                }
                (AppendError::Conflict(actual), AppendError::Conflict(alone)) => *actual == alone,
                (AppendError::Stale { floor }, AppendError::Stale { floor: alone }) => *floor == alone,
                // What was overtaken and is stale too may be told either.
                (AppendError::Stale { floor }, AppendError::Conflict(Conflict::Match { after, .. })) => {
                    after.is_some_and(|after| *floor > after)
                }
                _ => false,
            };
            if same {
                return true;
            }
        }
        false
    }

    /// Whether the reference finds a match at exactly this position.
    async fn matches(&self, query: &Query, position: Position) -> bool {
        let from = ReadFrom::After(Position(position.0.saturating_sub(1)));
        // As a part of a wider query, a tombstoned stream does not refuse the read.
        let query = Query::Items(match query {
            Query::Items(items) => [items.clone(), vec![nothing()]].concat(),
            other => return self.reads(other.clone(), from, position).await,
        });
        self.reads(query, from, position).await
    }

    async fn reads(&self, query: Query, from: ReadFrom, position: Position) -> bool {
        let found = collect(&self.reference, Read::new(query).from(from).limit(1)).await;
        found.first().is_some_and(|event| event.position == position)
    }
}

/// An item that selects nothing.
fn nothing() -> mainspring_store::QueryItem {
    crate::sample::scoped(mainspring_store::Scope::Streams(Vec::new()))
}

fn mentions(append: &Append, stream: &StreamName) -> bool {
    let checked = |check: &Check| matches!(check, Check::Stream { stream: named, .. } if named == stream);
    let changed = |change: &StreamChange| match change {
        StreamChange::Retain { target: Retained::Stream(named), .. }
        | StreamChange::TruncateBefore { stream: named, .. }
        | StreamChange::Tombstone { stream: named } => named == stream,
        StreamChange::Retain { .. } => false,
    };
    append.events.iter().any(|event| event.stream == *stream)
        || append.checks.iter().any(checked)
        || append.changes.iter().any(changed)
}
