//! Taking over a copied history, with its positions, versions and recorded times.

use std::collections::{HashMap, HashSet};

use mainspring_event::{Position, StoredEvent, Version};
use mainspring_store::{Append, AppendError, Limits, RestoreError, StreamChange};

use super::{Committer, FlushError};
use crate::prepare::Prepared;

impl Committer {
    /// Writes the next events of a copied history and syncs them.
    pub(crate) fn restore(&mut self, events: &[StoredEvent], limits: &Limits) -> Result<(), RestoreError> {
        self.check_open().map_err(|refused| RestoreError::Failed(refused.into()))?;
        self.view = self.core.view();
        self.rules = self.core.rules();
        let changes = self.check_copied(events)?;
        let written = self.write_frames_of(events, &changes, limits);
        // Whatever came of it, nothing is left waiting that a later append would write.
        written.and(self.flush().map_err(unwritten))
    }

    fn write_frames_of(
        &mut self,
        events: &[StoredEvent],
        changes: &HashMap<Position, StreamChange>,
        limits: &Limits,
    ) -> Result<(), RestoreError> {
        for part in frames(events, limits) {
            let mut append = Append::new(part.iter().map(|event| event.event.clone()));
            append.changes = part.iter().filter_map(|event| changes.get(&event.position).cloned()).collect();
            let limits = Limits { append_checks: usize::MAX, ..*limits };
            let prepared = Prepared::new(append, &limits, None).map_err(|error| RestoreError::Failed(error.into()))?;
            if !self.has_room(prepared.frame_bound()) {
                self.flush().map_err(unwritten)?;
                self.go_on().map_err(copied)?;
            }
            self.make_room(prepared.frame_bound()).map_err(|error| RestoreError::Failed(error.into()))?;
            self.write_copied(&prepared, part).map_err(copied)?;
        }
        Ok(())
    }

    /// Checks that the events follow what is stored; answers, by position, the truncation that a gap stands for.
    fn check_copied(&self, events: &[StoredEvent]) -> Result<HashMap<Position, StreamChange>, RestoreError> {
        let (mut last, mut heads, mut ids) = (self.next_position - 1, HashMap::new(), HashSet::new());
        let (mut changes, mut recorded) = (HashMap::new(), self.recorded);
        for event in events {
            let refuse = |reason: String| Err(RestoreError::OutOfOrder { position: event.position, reason });
            let stream = &event.event.stream;
            let head = match heads.get(stream) {
                Some(head) => *head,
                None => self.head_of(stream.as_str()).map_err(|damage| RestoreError::Failed(damage.into()))?,
            };
            if nanoseconds(event) < recorded {
                return refuse("it was recorded before the event in front of it".to_owned());
            }
            if event.position.0 <= last {
                return refuse(format!("the store is at position {last}"));
            }
            if event.version.0 <= head {
                return refuse(format!("its stream is at version {head}"));
            }
            let stored = self.view.find_id(event.event.id).map_err(|damage| RestoreError::Failed(damage.into()))?;
            if stored.is_some() || !ids.insert(event.event.id) {
                return refuse(format!("its id {} is stored already", event.event.id));
            }
            if event.version.0 > head + 1 {
                let version = Version(event.version.0);
                changes.insert(event.position, StreamChange::TruncateBefore { stream: stream.clone(), version });
            }
            (last, recorded) = (event.position.0, nanoseconds(event));
            heads.insert(stream.clone(), event.version.0);
        }
        Ok(changes)
    }
}

/// The frames of a copied history: a frame holds one recorded time and consecutive positions, and is no larger than an
/// append.
fn frames<'a>(events: &'a [StoredEvent], limits: &Limits) -> Vec<&'a [StoredEvent]> {
    let size = |event: &StoredEvent| event.event.payload.len() + event.event.metadata.encoded_len();
    let (mut frames, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, event) in events.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| &events[before]);
        let together = before.is_some_and(|before| {
            event.position.0 == before.position.0 + 1
                && event.recorded == before.recorded
                && at - start < limits.append_events
                && bytes + size(event) <= limits.append_bytes
        });
        if !together {
            frames.push(&events[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += size(event);
    }
    frames.push(&events[start..]);
    frames.retain(|frame| !frame.is_empty());
    frames
}

fn nanoseconds(event: &StoredEvent) -> i64 {
    i64::try_from(event.recorded.as_nanosecond()).unwrap_or(i64::MAX)
}

fn unwritten(error: FlushError) -> RestoreError {
    match error {
        FlushError::Cut(error) => RestoreError::Failed(error.into()),
        FlushError::Unknown(error) => RestoreError::Unknown(error.into()),
    }
}

fn copied(error: AppendError) -> RestoreError {
    match error {
        AppendError::Unknown(source) => RestoreError::Unknown(source),
        error => RestoreError::Failed(error.into()),
    }
}
