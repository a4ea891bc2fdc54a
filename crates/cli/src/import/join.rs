//! Into any store: the events get new places, once.

use std::io::Read;

use anyhow::Context as _;
use mainspring::{
    event::Position,
    store::{EventStore, Written},
};

use super::{Imported, check};
use crate::{append::in_line, appender::Appender, lines::Lines, units};

/// Appends the events in `lines` to a store that was at `head`.
pub(super) async fn run(
    store: &dyn EventStore,
    mut lines: Lines<Box<dyn Read>>,
    head: Position,
) -> anyhow::Result<Imported> {
    let mut imported = Imported::default();
    let joined = all(store, &mut lines, head, &mut imported).await;
    joined.with_context(|| {
        let events = units::count(imported.events, "event");
        format!("{events} imported before it, and no more; repeating the import when it is mended is safe")
    })?;
    Ok(imported)
}

async fn all(
    store: &dyn EventStore,
    lines: &mut Lines<Box<dyn Read>>,
    head: Position,
    imported: &mut Imported,
) -> anyhow::Result<()> {
    let mut appender = Appender::strict(store);
    loop {
        let group = lines.group().context("the input cannot be read")?;
        if group.is_empty() {
            return Ok(());
        }
        // What comes before a bad line is as good as if it came alone.
        let (mut numbers, mut events, mut bad) = (Vec::new(), Vec::new(), None);
        for line in group {
            let number = line.number;
            match check::new(line) {
                Ok(event) => events.push(event),
                Err(error) => {
                    bad = Some(error);
                    break;
                }
            }
            numbers.push(number);
        }
        let answers = if events.is_empty() { Vec::new() } else { appender.append(&events).await };
        for (answer, number) in answers.into_iter().zip(numbers) {
            let Written { position, .. } = answer.map_err(|error| in_line(error.into(), Some(number)))?;
            if position > head {
                imported.events += 1;
            } else {
                imported.known += 1;
            }
        }
        if let Some(bad) = bad {
            return Err(bad);
        }
    }
}
