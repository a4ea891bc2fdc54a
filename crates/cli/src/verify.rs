//! The check of every byte, and what to do about what it finds.

use std::path::Path;

use mainspring::disk::{Damage, OpenError, Verification};
use serde::Serialize;

use crate::{exit::Exit, open, output::Output, units};

/// What a check found, for programs.
#[derive(Serialize)]
struct Report<'a> {
    intact: bool,
    segments: usize,
    commits: u64,
    events: u64,
    indexes: usize,
    bytes: u64,
    torn_bytes: u64,
    stale_indexes: &'a [String],
    damages: Vec<Place<'a>>,
}

/// Where something is not as it was written.
#[derive(Serialize)]
struct Place<'a> {
    file: &'a str,
    offset: u64,
    what: &'a str,
}

pub(crate) fn run(directory: &Path, output: &mut Output) -> anyhow::Result<Exit> {
    let found = match mainspring::disk::verify(directory) {
        // A damaged manifest is a finding like any other; it only hides the rest.
        Err(OpenError::Damaged(damage)) => {
            let mut found = Verification::default();
            found.damages.push(damage);
            found
        }
        found => found.map_err(|error| open::explained(directory, error))?,
    };
    if output.is_json() {
        output.json(&report(&found))?;
    } else {
        describe(directory, &found, output)?;
    }
    Ok(if found.is_intact() { Exit::Done } else { Exit::Damage })
}

fn report(found: &Verification) -> Report<'_> {
    Report {
        intact: found.is_intact(),
        segments: found.segments,
        commits: found.commits,
        events: found.events,
        indexes: found.indexes,
        bytes: found.bytes,
        torn_bytes: found.torn_bytes,
        stale_indexes: &found.stale_indexes,
        damages: found.damages.iter().map(place).collect(),
    }
}

fn place(Damage { file, offset, what }: &Damage) -> Place<'_> {
    Place { file, offset: *offset, what }
}

fn describe(directory: &Path, found: &Verification, output: &mut Output) -> anyhow::Result<()> {
    let style = output.style();
    let checked = [
        units::count(found.segments as u64, "segment"),
        units::count(found.commits, "commit"),
        units::count(found.events, "event"),
        units::count(found.indexes as u64, "index file"),
    ];
    let read = units::bytes(found.bytes);
    output.line(&format!("{}: {}; {read} read", directory.display(), checked.join(", ")))?;
    if found.torn_bytes > 0 {
        let torn = units::count(found.torn_bytes, "byte");
        output.line(&format!("{torn} at the end were never acknowledged; the next writer cuts them off"))?;
    }
    for index in &found.stale_indexes {
        output.line(&format!("{index} is missing; the next writer builds it again"))?;
    }
    for Damage { file, offset, what } in &found.damages {
        output.line(&format!("{} {file} at offset {offset}: {what}", style.bad("damaged:")))?;
    }
    if found.is_intact() {
        output.line(&style.good("intact"))?;
    } else {
        let damages = units::count(found.damages.len() as u64, "damage");
        output.line(&format!(
            "{damages} found. Keep the directory as it is, copy it before you try anything, and restore from a backup."
        ))?;
    }
    Ok(())
}
