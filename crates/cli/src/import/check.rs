//! Reading a line, and a whole file before anything of it is written.

use std::{fs::File, path::Path};

use anyhow::{Context as _, anyhow, bail};
use mainspring::event::{NewEvent, Position, StoredEvent, cloud_events};

use super::cannot_read;
use crate::{
    append::in_line,
    lines::{Line, Lines},
    message, units,
};

/// So many bad lines are shown; the others are counted.
const SHOWN: u64 = 20;

/// The event of a line, with its place in the store that it comes from.
pub(super) fn stored(line: Line) -> anyhow::Result<StoredEvent> {
    let number = line.number;
    let read = || -> anyhow::Result<StoredEvent> {
        let stored = cloud_events::from_json(&line.text?)?.into_stored();
        stored.context("an event without a place of its own can only be imported with `--append`")
    };
    read().map_err(|error| in_line(error, Some(number)))
}

/// The event of a line, whatever place it had.
pub(super) fn new(line: Line) -> anyhow::Result<NewEvent> {
    let number = line.number;
    let read = || -> anyhow::Result<NewEvent> {
        let event = cloud_events::from_json(&line.text?)?.event;
        if event.stream.is_internal() {
            let stream = event.stream;
            bail!("stream `{stream}` is internal: its events can only be imported into an empty store");
        }
        Ok(event)
    };
    read().map_err(|error| in_line(error, Some(number)))
}

/// Refuses a file that has a bad line, and shows its bad lines.
pub(super) fn file(file: &Path, append: bool) -> anyhow::Result<()> {
    let reader = File::open(file).with_context(|| cannot_read(Some(file)))?;
    let mut lines = Lines::new(reader);
    let (mut bad, mut last) = (0, Position::START);
    loop {
        let group = lines.group().with_context(|| cannot_read(Some(file)))?;
        if group.is_empty() {
            break;
        }
        for line in group {
            let checked = if append { new(line).map(drop) } else { in_order(line, &mut last) };
            if let Err(error) = checked {
                bad += 1;
                if bad <= SHOWN {
                    message::error(&error);
                }
            }
        }
    }
    if bad > 0 {
        let bad = units::count(bad, "bad line");
        bail!("{} has {bad}; nothing of it was imported", file.display());
    }
    Ok(())
}

/// Checks that positions increase; what else must fit together, only the store knows.
fn in_order(line: Line, last: &mut Position) -> anyhow::Result<()> {
    let number = line.number;
    let position = stored(line)?.position;
    if position <= *last {
        return Err(in_line(anyhow!("position {position} follows position {last}"), Some(number)));
    }
    *last = position;
    Ok(())
}
