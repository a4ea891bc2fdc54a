//! Spans of time, and moments that are never out of range.

use std::time::Duration;

use jiff::Timestamp;

/// How long a member may take to give slices up.
pub(crate) const HANDOVER: Duration = Duration::from_secs(30);

/// The moment `by` after `now`, or the last there is.
pub(crate) fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
