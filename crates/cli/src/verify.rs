//! The check of every byte: what was found, what is lost by it, and what to do.

use std::path::Path;

use mainspring::disk::{Finding, Lost, Verification};
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
    findings: Vec<Found<'a>>,
}

/// One thing that was found.
#[derive(Serialize)]
struct Found<'a> {
    kind: &'static str,
    damage: bool,
    file: &'a str,
    offset: u64,
    what: &'a str,
    /// `null` where no event is lost.
    lost: Option<Positions>,
    advice: &'static str,
}

#[derive(Serialize)]
struct Positions {
    from: u64,
    /// `null` where nothing says how many there were.
    to: Option<u64>,
}

pub(crate) fn run(directory: &Path, output: &mut Output) -> anyhow::Result<Exit> {
    let found = mainspring::disk::verify(directory).map_err(|error| open::explained(directory, error))?;
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
        findings: found.findings.iter().map(one).collect(),
    }
}

fn one(finding: &Finding) -> Found<'_> {
    Found {
        kind: finding.kind.as_str(),
        damage: finding.kind.is_damage(),
        file: &finding.file,
        offset: finding.offset,
        what: &finding.what,
        lost: finding.lost.map(|Lost { from, to, .. }| Positions { from: from.0, to: to.map(|to| to.0) }),
        advice: finding.advice(),
    }
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
    for finding in &found.findings {
        let what = if finding.kind.is_damage() { style.bad("damaged:") } else { style.doubtful("found:") };
        let lost = finding.lost.map_or_else(|| "no event".to_owned(), |lost| lost.to_string());
        output.line(&format!("{what} {finding}"))?;
        output.line(&format!("  lost: {lost}"))?;
        output.line(&format!("  do:   {}.", finding.advice()))?;
    }
    if found.is_intact() {
        output.line(&style.good("intact"))?;
    } else {
        output.line(&format!("{} found", units::count(found.damages().count() as u64, "damage")))?;
    }
    Ok(())
}
