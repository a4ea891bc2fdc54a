//! A store of ten million events: opening it after a crash, the memory it takes, the bytes it takes on disk.

use std::{fs, path::Path, time::Instant};

use mainspring::disk::DiskStore;

use super::{raw, source::PAYLOAD};
use crate::{
    Settings, cache, child,
    paired::Rounds,
    table::{Bar, Row, Table},
};

/// Events of the large store and, for the memory it takes, of a small one.
const EVENTS: usize = 10_000_000;
const FEW_EVENTS: usize = 1_000_000;

/// How often it is opened.
const OPENS: usize = 5;

const OPEN_WARM: &str = "open after SIGKILL, warm";
const OPEN_COLD: &str = "open after SIGKILL, cold";
const MEMORY: &str = "memory";
const LOG: &str = "stored bytes, log";
const INDEX: &str = "stored bytes, index";

pub(super) fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if ![OPEN_WARM, OPEN_COLD, MEMORY, LOG, INDEX].iter().any(|name| settings.wants(name)) {
        return Ok(());
    }
    let (many, few) = (settings.scaled(EVENTS), settings.scaled(FEW_EVENTS));
    table.section(
        "A large store",
        format!(
            "{many} events in batches of 1000. Opened in a fresh process after the one before was killed (SIGKILL) while it \
             appended; cold: after the system has forgotten the files (posix_fadvise); the raw limit is reading and \
             checksumming the last segment, which nobody can leave out. Memory is RssAnon (without the pages of mapped \
             files) of a process that opens, appends 100,000 events, reads 100 streams and the last 100,000 events, beside \
             the same with {few} events. Stored bytes are beside those of the payloads"
        ),
    );
    let large = directory.join("large");
    child::fill_and_go_on(&large, many)?.kill()?;
    if settings.wants(OPEN_WARM) {
        table.print(open(OPEN_WARM, &large, false)?.bar(Bar::AtMost(0.2)))?;
    }
    if settings.wants(OPEN_COLD) {
        table.print(open(OPEN_COLD, &large, true)?.bar(Bar::AtMost(0.7)))?;
    }
    if settings.wants(LOG) || settings.wants(INDEX) {
        for row in stored(&large)?.into_iter().filter(|row| settings.wants(&row.name)) {
            table.print(row)?;
        }
    }
    if settings.wants(MEMORY) {
        let small = directory.join("small");
        child::fill_and_go_on(&small, few)?.kill()?;
        let megabytes = |directory: &Path| anyhow::Ok(child::memory(directory)?.anonymous_bytes as f64 / 1e6);
        let (ours, beside) = (megabytes(&large)?, megabytes(&small)?);
        let row = Row::new(MEMORY, ours, "MB").beside("a tenth of it", beside, ours / beside);
        table.print(row.bar(Bar::RatioAtMost(1.25)))?;
        fs::remove_dir_all(small)?;
    }
    Ok(fs::remove_dir_all(large)?)
}

fn open(name: &str, directory: &Path, cold: bool) -> anyhow::Result<Row> {
    let mut rounds = Rounds::new(OPENS);
    while rounds.begin() {
        if cold {
            cache::drop_pages(directory)?;
        }
        let running = child::open_and_append(directory)?;
        let seconds = running.said.open_seconds;
        running.kill()?;
        let last = raw::log_files(directory)?.pop();
        let last = last.ok_or_else(|| anyhow::anyhow!("the store has no segments"))?;
        if cold {
            cache::drop_pages(directory)?;
        }
        let begun = Instant::now();
        std::hint::black_box(crc32c::crc32c(&fs::read(last)?));
        rounds.end(&[seconds, begun.elapsed().as_secs_f64()], []);
    }
    Ok(Row::of_rounds(name, "s", rounds))
}

/// Bytes an event of the log that are in use, and of everything else but the room filled ahead.
fn stored(directory: &Path) -> anyhow::Result<[Row; 2]> {
    let stats = DiskStore::open_read_only(directory)?.stats()?;
    let mut others = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = Path::new(&name).extension().and_then(|extension| extension.to_str());
        if !matches!(kind, Some("log" | "new")) {
            others += entry.metadata()?.len();
        }
    }
    let events = stats.events as f64;
    let row = |name: &str, bytes: u64| {
        let each = bytes as f64 / events;
        Row::new(name, each, "B/event").beside("payload", PAYLOAD as f64, each / PAYLOAD as f64)
    };
    let note = format!("{} segments, {} streams", stats.segments.len(), stats.streams);
    Ok([row(LOG, stats.log_bytes).note(&note), row(INDEX, others).note("of sealed segments; the last has none yet")])
}
