//! Checks every byte that matters, changing nothing: all checksums, all indexes against the log, and the order of it all.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use crate::{
    damage::Damage,
    disk::{Access, Disk, OsDisk},
    error::OpenError,
    format::{
        FORMAT,
        frame::Kind,
        manifest::{Manifest, SegmentEntry},
        segment::{BadHead, SEGMENT_HEAD, SegmentHead, index_name, log_name},
    },
    index::{Index, List, MappedIndex, MemoryIndex},
    names::Names,
    open::{load_manifest, read_watermark},
    scan::{Continuation, Scanner},
};

/// What a check of a whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// How many segments were checked.
    pub segments: usize,
    /// How many commits.
    pub commits: u64,
    /// How many events.
    pub events: u64,
    /// How many index files were compared with the log.
    pub indexes: usize,
    /// Bytes of log and index files that were checked.
    pub bytes: u64,
    /// Bytes behind the last whole commit that were never acknowledged; opening for writing cuts them off.
    pub torn_bytes: u64,
    /// Index files that are missing or stale; opening for writing builds them again.
    pub stale_indexes: Vec<String>,
    /// What is not as it was written.
    pub damages: Vec<Damage>,
}

impl Verification {
    /// Whether nothing was found that would lose or change an event.
    pub fn is_intact(&self) -> bool {
        self.damages.is_empty()
    }
}

/// Checks the store in `directory`, which no process needs to have open and one may be writing to.
///
/// Files are read, never mapped, so that a failing disk gives an error and not a crash.
///
/// # Errors
/// [`OpenError`] when there is no store, its manifest is damaged, or a file cannot be read at all. Damage in the log and
/// the indexes is part of the answer instead.
pub fn verify(directory: impl AsRef<Path>) -> Result<Verification, OpenError> {
    let disk = OsDisk::existing(&directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing { directory: directory.as_ref().display().to_string() },
        _ => error.into(),
    })?;
    verify_on(Arc::new(disk))
}

/// As [`verify`], on any disk.
///
/// # Errors
/// As [`verify`].
pub fn verify_on(disk: Arc<dyn Disk>) -> Result<Verification, OpenError> {
    // Before the manifest and the files: what is written while they are checked may be torn.
    let synced = read_watermark(&*disk);
    let manifest = load_manifest(&*disk)?;
    let mut check = Check { disk: &*disk, manifest: &manifest, found: Verification::default(), heads: HashMap::new() };
    let mut chain = None;
    for entry in &manifest.segments {
        chain = check.segment(entry, chain, synced)?;
    }
    Ok(check.found)
}

struct Check<'a> {
    disk: &'a dyn Disk,
    manifest: &'a Manifest,
    found: Verification,
    /// The version each stream stands at.
    heads: HashMap<Box<str>, u64>,
}

/// What the next segment must continue.
struct Chain {
    end: u64,
    previous: u32,
    next_position: u64,
}

impl Check<'_> {
    fn damage(&mut self, file: &str, offset: u64, what: impl Into<String>) {
        self.found.damages.push(Damage { file: self.disk.describe(file), offset, what: what.into() });
    }

    /// Checks one segment; answers what the next one must continue if this one is whole.
    fn segment(&mut self, entry: &SegmentEntry, chain: Option<Chain>, synced: u64) -> Result<Option<Chain>, OpenError> {
        let name = log_name(entry.number);
        let file = match self.disk.open(&name, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.damage(&name, 0, "the file is missing");
                return Ok(None);
            }
            file => file?,
        };
        let size = file.size()?;
        let length = entry.sealed.unwrap_or(size);
        if size < length.max(SEGMENT_HEAD) {
            self.damage(&name, size, format!("the file ends here, it should have {length} bytes"));
            return Ok(None);
        }
        let bytes = file.read_exact_at(0, usize::try_from(length).map_err(io::Error::other)?)?;
        self.found.segments += 1;
        self.found.bytes += length;
        let Some(head) = self.head(entry, &bytes)? else { return Ok(None) };
        let continues = chain.is_none_or(|chain| {
            (chain.end, chain.previous) == (head.base, head.previous) && chain.next_position <= head.first_position
        });
        if !continues {
            self.damage(&name, 0, "it does not continue the segment before it");
        }
        let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
        let mut scanner = Scanner::new(&bytes[SEGMENT_HEAD as usize..], head.base, from, self.manifest.store);
        let mut index = MemoryIndex::default();
        while let Some(frame) = scanner.next_frame() {
            let at = scanner.continuation().offset - u64::from(frame.head.length);
            if let Err(what) = frame.index(&mut index) {
                self.damage(&name, at, what);
                return Ok(None);
            }
            if frame.padding.iter().any(|byte| *byte != 0) {
                self.damage(&name, at, "what fills up this frame is not zero; its events are not affected");
            }
            self.found.commits += 1;
            self.found.events += u64::from(frame.head.events);
            for (offset, record) in frame.records() {
                let place = record.place();
                let stream = index.names().name(Kind::Stream, place.stream);
                let head = self.heads.entry(stream.into()).or_default();
                // Only a copied history may skip versions, where retention had removed them before.
                if place.version <= *head {
                    let what = format!("version {} of stream `{stream}` follows version {head}", place.version);
                    *head = place.version;
                    self.damage(&name, u64::from(offset), what);
                } else {
                    *head = place.version;
                }
            }
        }
        let end = scanner.continuation();
        self.end_of_log(entry, &bytes, &scanner, synced);
        if entry.sealed.is_some() {
            self.index(entry, &index, length)?;
        }
        Ok(Some(Chain { end: head.base + end.offset, previous: end.previous, next_position: end.next_position }))
    }

    fn head(&mut self, entry: &SegmentEntry, bytes: &[u8]) -> Result<Option<SegmentHead>, OpenError> {
        let name = log_name(entry.number);
        match SegmentHead::decode(bytes) {
            Ok(head) if (head.store, head.number, head.base) == (self.manifest.store, entry.number, entry.base) => {
                return Ok(Some(head));
            }
            Ok(_) => self.damage(&name, 0, "it is not the segment that the manifest names"),
            Err(BadHead::Damaged) => self.damage(&name, 0, "the head of the segment cannot be read"),
            Err(BadHead::Newer(found)) => {
                return Err(OpenError::Newer { file: self.disk.describe(&name), found, supported: FORMAT });
            }
        }
        Ok(None)
    }

    /// Tells a torn tail from damage.
    fn end_of_log(&mut self, entry: &SegmentEntry, bytes: &[u8], scanner: &Scanner<'_>, synced: u64) {
        let name = log_name(entry.number);
        let end = scanner.continuation().offset;
        if entry.sealed.is_some() {
            if end != bytes.len() as u64 {
                self.damage(&name, end, "a frame cannot be read");
            }
        } else if scanner.synced_behind().max(synced) > entry.base + end {
            self.damage(&name, end, "a frame cannot be read, but it had been synced");
        } else {
            let behind = bytes.iter().skip(usize::try_from(end).unwrap_or(usize::MAX));
            let torn = behind.rev().skip_while(|byte| **byte == 0).count();
            self.found.torn_bytes += torn as u64;
        }
    }

    /// Compares an index file with what the log says.
    fn index(&mut self, entry: &SegmentEntry, log: &MemoryIndex, length: u64) -> Result<(), OpenError> {
        let name = index_name(entry.number);
        let file = match self.disk.open(&name, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.found.stale_indexes.push(self.disk.describe(&name));
                return Ok(());
            }
            file => file?,
        };
        let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
        let bytes = file.read_exact_at(0, size)?;
        self.found.indexes += 1;
        self.found.bytes += size as u64;
        let opened = MappedIndex::open(bytes.into(), self.manifest.store, entry.number, length)
            .and_then(|index| index.verify().map(|()| index));
        match opened {
            Err(bad) => self.damage(&name, 0, format!("{bad}; delete this index, opening builds it again")),
            Ok(index) if !same(&index, log) => {
                self.damage(&name, 0, "it does not agree with the log; delete this index, opening builds it again");
            }
            Ok(_) => {}
        }
        Ok(())
    }
}

/// Whether an index file says what the log says.
fn same(file: &MappedIndex, log: &MemoryIndex) -> bool {
    if (file.events(), file.frames(), file.categories()) != (log.events(), log.frames(), log.categories()) {
        return false;
    }
    let names = log.names();
    let kinds = [Kind::Stream, Kind::Type, Kind::Tag];
    let same_names = kinds
        .iter()
        .all(|kind| (0..names.len(*kind)).all(|code| file.find(*kind, names.name(*kind, code)) == Some(code)));
    let plain = [Kind::Source, Kind::ContentType];
    let same_texts =
        plain.iter().all(|kind| (0..names.len(*kind)).all(|code| file.name(*kind, code) == names.name(*kind, code)));
    let same_list = |list: List| {
        let (one, other) = (file.postings(list), log.postings(list));
        one.len() == other.len() && (0..one.len()).all(|at| one.get(at) == other.get(at))
    };
    let lists = (0..names.len(Kind::Stream))
        .map(List::Stream)
        .chain((0..names.len(Kind::Type)).map(List::Type))
        .chain((0..names.len(Kind::Tag)).map(List::Tag))
        .chain((0..log.categories()).map(List::Category));
    let same_events = (0..log.events()).all(|ordinal| {
        (file.offset(ordinal), file.stream_of(ordinal), file.type_of(ordinal))
            == (log.offset(ordinal), log.stream_of(ordinal), log.type_of(ordinal))
    });
    same_names
        && same_texts
        && same_events
        && lists.into_iter().all(same_list)
        && (0..names.len(Kind::Stream))
            .all(|code| (file.head(code), file.category_of(code)) == (log.head(code), log.category_of(code)))
        && (0..log.frames()).all(|at| file.frame(at) == log.frame(at))
        && log.ids().all(|(id, ordinal)| file.find_id(id) == Some(ordinal))
        && file.changes().is_ok_and(|changes| changes == log.changes())
}
