//! Reads the frames of a segment one after the other, trusting nothing, and tells a torn tail from damage.

use mainspring_store::{StoreId, StreamChange};

use crate::{
    format::{
        array_at,
        frame::{ALIGN, FRAME_HEAD, FrameHead, names},
        record::Record,
    },
    index::{Entry, MemoryIndex},
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
        }
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
        let next_position = head.first_position.checked_add(u64::from(head.events))?;
        self.at += length;
        self.previous = checksum;
        self.next_position = next_position;
        let (records, padding) = records.split_at(used);
        Some(Frame { head, offset, names, changes, records, padding })
    }

    /// The highest log position that a frame behind the last verified one says was synced; 0 where there is none.
    pub(crate) fn synced_behind(&self) -> u64 {
        let heads = (self.at..self.bytes.len()).step_by(ALIGN).filter_map(|at| {
            let (head, _) = FrameHead::decode(&self.bytes[at..])?;
            let here = self.base.checked_add(self.offset + at as u64) == Some(head.lsn) && head.store == self.store;
            here.then_some(head.synced)
        });
        heads.max().unwrap_or(0)
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

/// The part of the store's id that every frame carries.
pub(crate) fn store_tag(store: StoreId) -> u32 {
    u32::from_le_bytes(array_at(store.as_uuid().as_bytes(), 12))
}

impl<'a> Frame<'a> {
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
            let (kind, name) = name.ok_or("a name of the dictionary cannot be read")?;
            if !index.intern(kind, name).1 {
                return Err("a name is defined twice");
            }
        }
        let mut tags = Vec::new();
        for (number, (offset, record)) in self.records().enumerate() {
            let place = record.place();
            if place.position != self.head.first_position + number as u64 {
                return Err("an event has the position of another");
            }
            if number == 0 {
                index.begin_frame(place.position, place.recorded);
            }
            tags.clear();
            tags.extend(record.tags().chunks_exact(4).map(|code| u32::from_le_bytes(array_at(code, 0))));
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
