//! Frees the space of what retention has removed, in a directory that nobody writes to.

use std::path::Path;

use mainspring::disk::Scavenged;
use serde::Serialize;

use crate::{exit::Exit, open, output::Output, units};

/// What was done, for programs.
#[derive(Serialize)]
struct Report {
    segments: u64,
    rewritten: u64,
    removed: u64,
    events: u64,
    bytes: u64,
}

pub(crate) async fn run(directory: &Path, output: &mut Output) -> anyhow::Result<Exit> {
    let store = open::existing_for_writing(directory)?;
    let done = store.scavenge().await?;
    store.close()?;
    if output.is_json() {
        let Scavenged { segments, rewritten, removed, events, bytes, .. } = done;
        output.json(&Report { segments, rewritten, removed, events, bytes })?;
    } else {
        describe(directory, &done, output)?;
    }
    Ok(Exit::Done)
}

fn describe(directory: &Path, done: &Scavenged, output: &mut Output) -> anyhow::Result<()> {
    let segments = units::count(done.segments, "full segment");
    output.line(&format!("{}: {segments} looked at", directory.display()))?;
    if done.rewritten + done.removed == 0 {
        output.line("nothing to remove; the segment that is being written is left alone")?;
        return Ok(());
    }
    let (rewritten, removed) = (units::number(done.rewritten), units::number(done.removed));
    let events = units::count(done.events, "event");
    output.line(&format!("{rewritten} written again, {removed} gone"))?;
    output.line(&format!("{events} removed, {} free", units::bytes(done.bytes)))?;
    Ok(())
}
