//! The check of one segment after the other.

use std::{collections::HashMap, io};

use bytes::Bytes;
use mainspring_event::Position;

use super::{Finding, FindingKind, Lost, Verification};
use crate::{
    core::about,
    directory::{is_run_name, is_whole_run},
    disk::{Access, Disk},
    error::OpenError,
    format::{
        FORMAT,
        frame::Kind,
        manifest::{Compacted, MANIFEST, Manifest, SegmentEntry},
        segment::{BadHead, SEGMENT_HEAD, SegmentHead},
    },
    index::{MappedIndex, MemoryIndex, encode},
    names::Names,
    scan::{Continuation, Frame, Scanner},
};

/// A check that goes through the segments in order.
pub(super) struct Check<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) manifest: &'a Manifest,
    /// How far the log is known to be synced.
    pub(super) synced: u64,
    pub(super) found: Verification,
    /// The version each stream stands at.
    pub(super) heads: HashMap<Box<str>, u64>,
    /// The lowest position that the next event can have, as far as that is known.
    pub(super) next_position: u64,
    /// Findings for which events are lost up to the next that can be read.
    pub(super) open_ended: Vec<usize>,
}

/// What the next segment must continue.
pub(super) struct Chain {
    end: u64,
    previous: u32,
}

impl Check<'_> {
    /// Checks one segment; answers what the next one must continue if this one is whole.
    pub(super) fn segment(
        &mut self,
        entry: &SegmentEntry,
        is_last: bool,
        chain: Option<Chain>,
    ) -> Result<Option<Chain>, OpenError> {
        if let Some(compacted) = entry.compacted.filter(|_| !entry.has_file()) {
            return Ok(Some(self.nothing_left(entry, &compacted, chain)));
        }
        let name = entry.log_name();
        let Some(bytes) = self.read(entry) else { return Ok(None) };
        self.found.segments += 1;
        self.found.bytes += bytes.len() as u64;
        let Some(head) = self.head(entry, &bytes)? else { return Ok(None) };
        let continues = chain.is_none_or(|chain| (chain.end, chain.previous) == (head.base, head.previous))
            && (self.next_position <= head.first_position);
        if !continues {
            self.lose(FindingKind::ChainBroken, &name, 0, "it does not continue the segment before it");
        }
        self.readable_from(head.first_position);
        let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
        let scanner = Scanner::new(&bytes[SEGMENT_HEAD as usize..], head.base, from, self.manifest.store);
        let mut scanner = scanner.sparse(head.generation > 0);
        // Without the names of a frame that cannot be read, those behind it cannot be understood, only checked.
        let mut index = Some(MemoryIndex::default());
        loop {
            while let Some(frame) = scanner.next_frame() {
                let at = scanner.continuation().offset - u64::from(frame.head.length);
                self.frame(&name, at, &frame, &mut index);
                self.next_position = scanner.continuation().next_position;
            }
            let end = scanner.continuation().offset;
            let length = bytes.len() as u64;
            if !self.is_damaged_at(entry, end, length, &scanner) {
                self.torn(entry, end, &bytes);
                break;
            }
            index = None;
            self.lose(FindingKind::FrameDamaged, &name, end, "a frame cannot be read, but it had been synced");
            if !scanner.skip() {
                return Ok(None);
            }
            self.readable_from(scanner.continuation().next_position);
        }
        // The last segment of a backup has a length, but no index yet.
        if entry.sealed.is_some() && !(is_last && self.manifest.backup.is_some()) {
            self.index(entry, index.as_ref(), bytes.len() as u64)?;
        }
        let end = scanner.continuation();
        let as_written = Chain { end: head.base + end.offset, previous: end.previous };
        let compacted = entry.compacted.map(|compacted| Chain { end: compacted.end, previous: compacted.chain });
        Ok(Some(compacted.unwrap_or(as_written)))
    }

    /// Checks the place of segments of which nothing is left.
    fn nothing_left(&mut self, entry: &SegmentEntry, compacted: &Compacted, chain: Option<Chain>) -> Chain {
        if chain.is_some_and(|chain| chain.end != entry.base) {
            let what = format!("segment {} does not continue the segment before it", entry.number);
            self.lose(FindingKind::ChainBroken, MANIFEST, 0, what);
        }
        Chain { end: compacted.end, previous: compacted.chain }
    }

    /// Checks the runs of the directory that are there. A writer may have merged some of them meanwhile.
    pub(super) fn runs(&mut self) -> Result<(), OpenError> {
        for name in self.disk.list()?.into_iter().filter(|name| is_run_name(name)) {
            match self.whole_file(&name) {
                Ok(bytes) => {
                    self.found.bytes += bytes.len() as u64;
                    if !is_whole_run(bytes.into(), &name) {
                        self.find(FindingKind::RunDamaged, &name, 0, "it is not what was written", None);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.find(FindingKind::RunDamaged, &name, 0, about(self.disk, &name, &error).to_string(), None);
                }
            }
        }
        Ok(())
    }

    fn whole_file(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.disk.open(name, Access::Read)?;
        let size = usize::try_from(file.size()?).map_err(io::Error::other)?;
        file.read_exact_at(0, size)
    }

    /// What was found in the end.
    pub(super) fn finish(mut self) -> Verification {
        if let Some(mark) = &self.manifest.backup {
            self.readable_from(mark.position + 1);
        }
        self.found
    }

    fn find(&mut self, kind: FindingKind, file: &str, offset: u64, what: impl Into<String>, lost: Option<Lost>) {
        let file = self.disk.describe(file);
        self.found.findings.push(Finding { kind, file, offset, what: what.into(), lost });
    }

    /// Finds something for which events are lost, up to the next that can be read.
    fn lose(&mut self, kind: FindingKind, file: &str, offset: u64, what: impl Into<String>) {
        self.open_ended.push(self.found.findings.len());
        let lost = Lost { from: Position(self.next_position), to: None };
        self.find(kind, file, offset, what, Some(lost));
    }

    /// Notes that the next event that can be read has at least this position.
    fn readable_from(&mut self, position: u64) {
        for index in self.open_ended.drain(..) {
            let lost = &mut self.found.findings[index].lost;
            *lost = lost
                .filter(|lost| lost.from.0 < position)
                .map(|lost| Lost { to: Some(Position(position - 1)), ..lost });
        }
        self.next_position = self.next_position.max(position);
    }

    /// The bytes of a segment as far as they count; `None` where that was found impossible.
    fn read(&mut self, entry: &SegmentEntry) -> Option<Vec<u8>> {
        let name = entry.log_name();
        let read = self.disk.open(&name, Access::Read).and_then(|file| {
            let size = file.size()?;
            let length = entry.sealed.unwrap_or(size);
            let whole = size >= length.max(SEGMENT_HEAD);
            let bytes = file.read_exact_at(0, usize::try_from(length.min(size)).map_err(io::Error::other)?)?;
            Ok((bytes, whole, length))
        });
        match read {
            Ok((bytes, true, _)) => return Some(bytes),
            Ok((bytes, false, length)) => {
                let what = format!("the file ends here, it should have {} bytes", length.max(SEGMENT_HEAD));
                self.lose(FindingKind::SegmentShort, &name, bytes.len() as u64, what);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.lose(FindingKind::SegmentMissing, &name, 0, "the file is missing");
            }
            Err(error) => self.lose(FindingKind::FileUnreadable, &name, 0, error.to_string()),
        }
        None
    }

    fn head(&mut self, entry: &SegmentEntry, bytes: &[u8]) -> Result<Option<SegmentHead>, OpenError> {
        let name = entry.log_name();
        let named = (self.manifest.store, entry.number, entry.base, entry.generation());
        let what = match SegmentHead::decode(bytes) {
            Ok(head) if (head.store, head.number, head.base, head.generation) == named => return Ok(Some(head)),
            Ok(_) => "it is not the segment that the manifest names",
            Err(BadHead::Damaged) => "the head of the segment cannot be read",
            Err(BadHead::Newer(found)) => {
                return Err(OpenError::Newer { file: self.disk.describe(&name), found, supported: FORMAT });
            }
        };
        self.lose(FindingKind::HeadDamaged, &name, 0, what);
        Ok(None)
    }

    /// Counts a whole frame and checks what it says against what came before.
    fn frame(&mut self, name: &str, at: u64, frame: &Frame<'_>, index: &mut Option<MemoryIndex>) {
        // A compacted segment says in frames of its own what must outlive its events.
        self.found.commits += u64::from(frame.head.events > 0 || !frame.is_sparse());
        self.found.events += u64::from(frame.head.events);
        let Some(known) = index else { return };
        if let Err(what) = frame.index(known) {
            *index = None;
            let events = u64::from(frame.head.events).max(1);
            let to = Some(Position(frame.head.first_position + events - 1));
            let lost = Lost { from: Position(frame.head.first_position), to };
            return self.find(FindingKind::FrameDamaged, name, at, what, Some(lost));
        }
        if frame.padding.iter().any(|byte| *byte != 0) {
            self.find(FindingKind::PaddingDamaged, name, at, "what fills up this commit is not zero", None);
        }
        for (stream, emptied_at) in frame.emptied() {
            let head = self.heads.entry(stream.into()).or_default();
            let before = std::mem::replace(head, emptied_at.max(*head));
            if emptied_at < before {
                let what = format!("stream `{stream}` stands at version {before}, here it says {emptied_at}");
                self.find(FindingKind::OrderBroken, name, at, what, None);
            }
        }
        for (offset, record) in frame.records() {
            let place = record.place();
            let stream = known.names().name(Kind::Stream, place.stream);
            let head = self.heads.entry(stream.into()).or_default();
            // Only a copied history may skip versions, where retention had removed them before.
            let before = std::mem::replace(head, place.version);
            if place.version <= before {
                let what = format!("version {} of stream `{stream}` follows version {before}", place.version);
                let lost = Lost { from: Position(place.position), to: Some(Position(place.position)) };
                self.find(FindingKind::OrderBroken, name, u64::from(offset), what, Some(lost));
            }
        }
    }

    /// Whether what follows the last whole frame had been synced.
    fn is_damaged_at(&self, entry: &SegmentEntry, end: u64, length: u64, scanner: &Scanner<'_>) -> bool {
        match entry.sealed {
            Some(_) => end != length,
            None => scanner.synced_behind().max(self.synced) > entry.base + end,
        }
    }

    /// Notes what lies behind the end of the log; zeros were written ahead.
    fn torn(&mut self, entry: &SegmentEntry, end: u64, bytes: &[u8]) {
        let behind = bytes.iter().skip(usize::try_from(end).unwrap_or(usize::MAX));
        let torn = behind.rev().skip_while(|byte| **byte == 0).count() as u64;
        if torn > 0 {
            self.found.torn_bytes += torn;
            let what = format!("{torn} bytes at the end were never acknowledged");
            self.find(FindingKind::TornEnd, &entry.log_name(), end, what, None);
        }
    }

    /// Compares the index files of a segment with what the log says, as far as that could be understood.
    fn index(&mut self, entry: &SegmentEntry, log: Option<&MemoryIndex>, length: u64) -> Result<(), OpenError> {
        let name = entry.index_name();
        let bytes = match self.whole_file(&name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.find(FindingKind::IndexMissing, &name, 0, "the file is missing", None);
                return Ok(());
            }
            Err(error) => {
                self.find(FindingKind::IndexDamaged, &name, 0, about(self.disk, &name, &error).to_string(), None);
                return Ok(());
            }
        };
        self.found.indexes += 1;
        self.found.bytes += bytes.len() as u64;
        let bytes = Bytes::from(bytes);
        let (store, number) = (self.manifest.store, entry.number);
        match MappedIndex::open(bytes.clone(), store, number, length).and_then(|index| index.verify()) {
            Err(bad) => self.find(FindingKind::IndexDamaged, &name, 0, bad.to_string(), None),
            // One log makes one index, to the byte.
            Ok(()) if log.is_some_and(|log| encode(log, store, number, length) != bytes) => {
                self.find(FindingKind::IndexDisagrees, &name, 0, "it does not agree with the log", None);
            }
            Ok(()) => {}
        }
        Ok(())
    }
}
