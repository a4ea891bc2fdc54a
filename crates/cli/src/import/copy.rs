//! Into an empty store: every event keeps its place.

use std::io::Read;

use anyhow::Context as _;
use mainspring::{
    event::StoredEvent,
    store::{Restore, RestoreError},
};

use super::{Imported, check};
use crate::{append::in_line, lines::Lines, units};

/// Commits are synced when they have so many events …
const EVENTS: usize = 4096;

/// … or so many bytes of payload.
const BYTES: usize = 8 << 20;

/// Copies the history in `lines`.
pub(super) async fn run(store: &dyn Restore, mut lines: Lines<Box<dyn Read>>) -> anyhow::Result<Imported> {
    let mut copy = Copy { store, numbers: Vec::new(), events: Vec::new(), bytes: 0, imported: Imported::default() };
    let copied = copy.all(&mut lines).await;
    let imported = copy.imported;
    copied.with_context(|| {
        let events = units::count(imported.events, "event");
        match imported.events {
            0 => "nothing was imported".to_owned(),
            _ => format!("only the first {events} were imported; remove the directory and import again"),
        }
    })?;
    Ok(imported)
}

/// A copy under way.
struct Copy<'a> {
    store: &'a dyn Restore,
    /// The lines of the events that come next.
    numbers: Vec<u64>,
    events: Vec<StoredEvent>,
    bytes: usize,
    imported: Imported,
}

impl Copy<'_> {
    async fn all(&mut self, lines: &mut Lines<Box<dyn Read>>) -> anyhow::Result<()> {
        loop {
            let group = lines.group().context("the input cannot be read")?;
            if group.is_empty() {
                return self.commit().await;
            }
            for line in group {
                self.numbers.push(line.number);
                let event = check::stored(line)?;
                self.bytes += event.event.payload.len();
                self.events.push(event);
                if self.events.len() >= EVENTS || self.bytes >= BYTES {
                    self.commit().await?;
                }
            }
        }
    }

    async fn commit(&mut self) -> anyhow::Result<()> {
        if self.events.is_empty() {
            return Ok(());
        }
        let events = std::mem::take(&mut self.events);
        let places: Vec<_> = events.iter().map(|event| event.position).collect();
        let numbers = std::mem::take(&mut self.numbers);
        let count = events.len() as u64;
        self.store.restore(events).await.map_err(|error| {
            let line = match &error {
                RestoreError::OutOfOrder { position, .. } => places.iter().position(|place| place == position),
                _ => None,
            };
            in_line(error.into(), line.map(|index| numbers[index]))
        })?;
        self.imported.events += count;
        self.bytes = 0;
        Ok(())
    }
}
