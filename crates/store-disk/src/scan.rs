//! Reads the frames of a segment one after the other, trusting nothing, and tells a torn tail from damage.

use mainspring_store::{StoreId, StreamChange};

use crate::{
    damage::Damage,
    format::{
        array_at,
        frame::{ALIGN, FRAME_HEAD, FrameHead, Name, names},
        record::Record,
        segment::{SEGMENT_HEAD, SegmentHead},
    },
    index::{Entry, MemoryIndex},
    segment::SegmentPlace,
};

/// Reads frames from a part of the log.
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    /// Where in `bytes` the next frame begins.
    at: usize,
    /// Offset of `bytes` in its file.
    offset: u64,
    /// Log position of the beginning of the file.
    base: u64,
    previous: u32,
    next_position: u64,
    store: u32,
    /// Whether scavenging may have made holes in frames.
    sparse: bool,
}

/// What the next frame must continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Continuation {
    /// Where in its file it begins.
    pub(crate) offset: u64,
    /// The checksum of the frame before.
    pub(crate) previous: u32,
    /// The lowest position that its first event can have.
    pub(crate) next_position: u64,
}

/// One verified frame.
pub(crate) struct Frame<'a> {
    pub(crate) head: FrameHead,
    /// Where in its file it begins.
    offset: u64,
    sparse: bool,
    names: &'a [u8],
    pub(crate) changes: Vec<StreamChange>,
    records: &'a [u8],
    /// What fills it up behind the records: no checksum covers it, and no reader looks at it.
    pub(crate) padding: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// Reads frames from `bytes`, which begin at `from.offset` of a file whose first byte has log position `base`.
    pub(crate) fn new(bytes: &'a [u8], base: u64, from: Continuation, store: StoreId) -> Self {
        Self {
            bytes,
            at: 0,
            offset: from.offset,
            base,
            previous: from.previous,
            next_position: from.next_position,
            store: store_tag(store),
            sparse: false,
        }
    }

    /// Takes frames with holes too, if `sparse`: those of a file that scavenging wrote.
    pub(crate) fn sparse(self, sparse: bool) -> Self {
        Self { sparse, ..self }
    }

    /// What the frame after the last verified one must continue.
    pub(crate) fn continuation(&self) -> Continuation {
        Continuation {
            offset: self.offset + self.at as u64,
            previous: self.previous,
            next_position: self.next_position,
        }
    }

    /// The next frame, if it is whole, unharmed and continues the one before.
    pub(crate) fn next_frame(&mut self) -> Option<Frame<'a>> {
        let bytes = &self.bytes[self.at..];
        let (head, checksum) = FrameHead::decode(bytes)?;
        let offset = self.offset + self.at as u64;
        let length = head.length as usize;
        let continues = Some(head.lsn) == self.base.checked_add(offset)
            && head.previous == self.previous
            && head.store == self.store
            && head.first_position >= self.next_position
            && length.is_multiple_of(ALIGN);
        let body = bytes.get(FRAME_HEAD..length).filter(|_| continues)?;
        let (names, rest) = body.split_at_checked(head.names as usize)?;
        let (changes, records) = rest.split_at_checked(head.changes as usize)?;
        let used = verified_len(&head, names, changes, records)?;
        let changes = if changes.is_empty() { Vec::new() } else { serde_json::from_slice(changes).ok()? };
        let (records, padding) = records.split_at(used);
        let frame = Frame { head, offset, sparse: self.sparse, names, changes, records, padding };
        self.next_position = frame.next_position()?;
        self.at += length;
        self.previous = checksum;
        Some(frame)
    }

    /// The highest log position that a frame behind the last verified one says was synced; 0 where there is none.
    pub(crate) fn synced_behind(&self) -> u64 {
        self.heads(self.at).map(|(_, head)| head.synced).max().unwrap_or(0)
    }

    /// Passes what cannot be read and goes on with the next header that can; false where there is none.
    ///
    /// Only for those who look for damage: nobody vouches for what lies between.
    pub(crate) fn skip(&mut self) -> bool {
        let behind = self.heads(self.at + ALIGN).find(|(_, head)| head.first_position >= self.next_position);
        let Some((at, head)) = behind else { return false };
        (self.at, self.previous, self.next_position) = (at, head.previous, head.first_position);
        true
    }

    /// Headers of frames that stand where they say, with their places, from one place on.
    fn heads(&self, from: usize) -> impl Iterator<Item = (usize, FrameHead)> {
        (from..self.bytes.len()).step_by(ALIGN).filter_map(|at| {
            let (head, _) = FrameHead::decode(&self.bytes[at..])?;
            let here = self.base.checked_add(self.offset + at as u64) == Some(head.lsn) && head.store == self.store;
            here.then_some((at, head))
        })
    }
}

/// Length of the records of a frame, if they are all whole and the body's checksum is right.
fn verified_len(head: &FrameHead, names: &[u8], changes: &[u8], records: &[u8]) -> Option<usize> {
    let mut checksum = crc32c::crc32c_append(crc32c::crc32c(names), changes);
    let mut used = 0;
    for _ in 0..head.events {
        let record = Record::verify(&records[used..])?;
        checksum = crc32c::crc32c_append(checksum, &record.checksum().to_le_bytes());
        used += record.len();
    }
    (checksum == head.body && records.len() - used < ALIGN).then_some(used)
}

/// What the whole frames at the beginning of some bytes say.
pub(crate) struct Scanned {
    pub(crate) index: MemoryIndex,
    /// What the next frame must continue.
    pub(crate) continuation: Continuation,
    /// The log was synced this far when the last of them was written.
    pub(crate) synced: u64,
}

/// Indexes the whole frames that a scanner finds.
pub(crate) fn scan(mut scanner: Scanner<'_>, place: &SegmentPlace) -> Result<Scanned, Damage> {
    let mut index = MemoryIndex::default();
    let mut synced = 0;
    loop {
        let continuation = scanner.continuation();
        let Some(frame) = scanner.next_frame() else { return Ok(Scanned { index, continuation, synced }) };
        frame.index(&mut index).map_err(|what| place.damage(continuation.offset, what))?;
        synced = frame.head.synced;
    }
}

/// The index of a sealed segment, built from all of its log.
pub(crate) fn index_sealed(place: &SegmentPlace, log: &[u8]) -> Result<MemoryIndex, Damage> {
    let head = SegmentHead::decode(log).map_err(|_| place.damage(0, "the head of the segment cannot be read"))?;
    let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
    let scanner = Scanner::new(&log[SEGMENT_HEAD as usize..], place.base, from, head.store);
    let Scanned { index, continuation, .. } = scan(scanner.sparse(head.generation > 0), place)?;
    if continuation.offset != log.len() as u64 {
        return Err(place.damage(continuation.offset, "a frame cannot be read"));
    }
    Ok(index)
}

/// The part of the store's id that every frame carries.
pub(crate) fn store_tag(store: StoreId) -> u32 {
    u32::from_le_bytes(array_at(store.as_uuid().as_bytes(), 12))
}

impl<'a> Frame<'a> {
    /// The lowest position that the frame behind it can have.
    fn next_position(&self) -> Option<u64> {
        match self.records().last().filter(|_| self.sparse) {
            Some((_, last)) => last.place().position.checked_add(1),
            None => self.head.first_position.checked_add(u64::from(self.head.events)),
        }
    }

    /// Whether it is of a file that scavenging wrote.
    pub(crate) fn is_sparse(&self) -> bool {
        self.sparse
    }

    /// The streams of which nothing is left, and where they stood.
    pub(crate) fn emptied(&self) -> impl Iterator<Item = (&'a str, u64)> + use<'a> {
        names(self.names).flatten().filter_map(|name| Some((name.text, name.emptied_at?)))
    }

    /// The records in order, each with its offset in the file.
    pub(crate) fn records(&self) -> impl Iterator<Item = (u32, Record<'a>)> + use<'a> {
        let first = self.offset + (FRAME_HEAD + self.head.names as usize + self.head.changes as usize) as u64;
        let records = self.records;
        let mut at = 0;
        std::iter::from_fn(move || {
            let record = Record::trusted(records.get(at..).filter(|rest| !rest.is_empty())?)?;
            let offset = u32::try_from(first + at as u64).expect("a segment is smaller than 4 GiB");
            at += record.len();
            Some((offset, record))
        })
    }

    /// Adds the frame to the index of its segment. Says what is wrong with a frame that no writer can have written.
    pub(crate) fn index(&self, index: &mut MemoryIndex) -> Result<(), &'static str> {
        for name in names(self.names) {
            let Name { kind, text, emptied_at } = name.ok_or("a name of the dictionary cannot be read")?;
            let (code, new) = index.intern(kind, text);
            if !new {
                return Err("a name is defined twice");
            }
            if let Some(head) = emptied_at {
                index.set_head(code, head);
            }
        }
        let mut tags = Vec::new();
        let mut next = self.head.first_position;
        for (number, (offset, record)) in self.records().enumerate() {
            let place = record.place();
            let hole = self.sparse && number > 0 && place.position > next;
            if place.position != next && !hole {
                return Err("an event has the position of another");
            }
            if number == 0 {
                index.begin_frame(place.position, place.recorded);
            } else if hole {
                index.continue_frame(place.position, place.recorded);
            }
            next = place.position + 1;
            tags.clear();
            tags.extend(record.tag_codes());
            let entry = Entry {
                id: record.id(),
                offset,
                stream: place.stream,
                event_type: place.event_type,
                version: place.version,
                tags: &tags,
            };
            if !index.knows(&entry, place.source, place.content_type) {
                return Err("an event uses a name that is not defined");
            }
            index.add(&entry);
        }
        index.add_changes(&self.changes);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
