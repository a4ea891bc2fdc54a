//! Where a group stands, written down as a whole, so that its steps before that need not be read again.

use std::collections::BTreeMap;

use super::GroupState;
use crate::codec::progress::{Record, Tried};

/// A snapshot is written after so many bytes, and is cut into parts of about so many.
const SNAPSHOT: usize = 256 << 10;
const PART: usize = 1 << 20;

impl GroupState {
    /// Whether so much was written since the last snapshot that reading it costs more than another one.
    pub(crate) fn needs_snapshot(&self) -> bool {
        self.written > SNAPSHOT.max(4 * self.snapshot)
    }

    /// A snapshot in as many parts as it takes, when one is due.
    pub(crate) fn snapshot_if_needed(&mut self) -> Vec<Vec<u8>> {
        if !self.needs_snapshot() {
            return Vec::new();
        }
        let mut parts = vec![Vec::new()];
        for (slice, cursor) in self.cursors.iter().enumerate() {
            let runs = cursor.done.iter().collect();
            write_part(&mut parts, &Record::Moved { slice: slice as u32, floor: cursor.floor, runs });
            let items = self.items.iter().filter(|(_, item)| item.slice == slice);
            let mut tried: BTreeMap<_, _> = items.map(|(_, item)| (item.offset(), item.tried())).collect();
            tried.extend(cursor.tried.iter().map(|(offset, tried)| (*offset, *tried)));
            for (start, tried) in tried.into_iter().filter(|(_, tried)| *tried != Tried::default()) {
                write_part(&mut parts, &Record::Tried { slice: slice as u32, start, count: 1, tried });
            }
        }
        self.snapshot = parts.iter().map(Vec::len).sum();
        self.written = 0;
        parts
    }
}

fn write_part(parts: &mut Vec<Vec<u8>>, record: &Record) {
    if parts.last().is_none_or(|part| part.len() > PART) {
        parts.push(Vec::new());
    }
    if let Some(part) = parts.last_mut() {
        record.write(part);
    }
}
