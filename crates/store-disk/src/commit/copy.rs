//! Taking over a copied history, with its positions, versions and recorded times.

use std::collections::{HashMap, HashSet};

use mainspring_event::{StoredEvent, Version};
use mainspring_store::{Append, AppendError, Limits, RestoreError, StreamChange};

use super::{Committer, FlushError, decide::find_id};
use crate::prepare::Prepared;

impl Committer {
    /// Writes the next events of a copied history and syncs them.
    pub(crate) fn restore(&mut self, events: &[StoredEvent], limits: &Limits) -> Result<(), RestoreError> {
        self.check_open().map_err(|refused| RestoreError::Failed(refused.into()))?;
        let changes = self.check_copied(events)?;
        let same_commit = |one: &StoredEvent, next: &StoredEvent| {
            next.position.0 == one.position.0 + 1 && next.recorded == one.recorded
        };
        for run in events.chunk_by(same_commit) {
            for part in run.chunks(limits.append_events) {
                let mut append = Append::new(part.iter().map(|event| event.event.clone()));
                append.changes = part.iter().filter_map(|event| changes.get(&event.position).cloned()).collect();
                let prepared = Prepared::new(append, &Limits { append_bytes: usize::MAX, ..*limits });
                let prepared = prepared.map_err(|error| RestoreError::Failed(error.into()))?;
                if !self.has_room(prepared.frame_bound()) {
                    self.go_on().map_err(copied)?;
                }
                self.write_copied(&prepared, part).map_err(copied)?;
            }
        }
        self.flush().map_err(|error| match error {
            FlushError::Cut(error) => RestoreError::Failed(error.into()),
            FlushError::Unknown(error) => RestoreError::Unknown(error.into()),
        })
    }

    /// Checks that the events follow what is stored; answers, by position, the truncation that a gap stands for.
    fn check_copied(
        &self,
        events: &[StoredEvent],
    ) -> Result<HashMap<mainspring_event::Position, StreamChange>, RestoreError> {
        let (mut last, mut heads, mut ids) = (self.next_position - 1, HashMap::new(), HashSet::new());
        let mut changes = HashMap::new();
        let view = self.core.view();
        for event in events {
            let refuse = |reason: String| Err(RestoreError::OutOfOrder { position: event.position, reason });
            let stream = &event.event.stream;
            let head = match heads.get(stream) {
                Some(head) => *head,
                None => self.head_of(stream.as_str()).map_err(|damage| RestoreError::Failed(damage.into()))?,
            };
            if event.position.0 <= last {
                return refuse(format!("the store is at position {last}"));
            }
            if event.version.0 <= head {
                return refuse(format!("its stream is at version {head}"));
            }
            let stored = find_id(&view, event.event.id).map_err(|damage| RestoreError::Failed(damage.into()))?;
            if stored.is_some() || !ids.insert(event.event.id) {
                return refuse(format!("its id {} is stored already", event.event.id));
            }
            if event.version.0 > head + 1 {
                let version = Version(event.version.0);
                changes.insert(event.position, StreamChange::TruncateBefore { stream: stream.clone(), version });
            }
            last = event.position.0;
            heads.insert(stream.clone(), event.version.0);
        }
        Ok(changes)
    }
}

fn copied(error: AppendError) -> RestoreError {
    match error {
        AppendError::Unknown(source) => RestoreError::Unknown(source),
        error => RestoreError::Failed(error.into()),
    }
}
