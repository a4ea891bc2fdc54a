//! The events of a segment that still grows, by stream, type, category and tag.

use super::List;

/// Ordinals by code, as far as they were asked for.
#[derive(Default)]
pub(super) struct Lists {
    events: u32,
    streams: Vec<Vec<u32>>,
    types: Vec<Vec<u32>>,
    categories: Vec<Vec<u32>>,
    tags: Vec<Vec<u32>>,
}

impl Lists {
    /// How many events they hold.
    pub(super) fn events(&self) -> u32 {
        self.events
    }

    /// Makes room for so many codes of each kind.
    pub(super) fn make_room(&mut self, streams: usize, types: u32, categories: usize, tags: u32) {
        self.streams.resize_with(streams, Vec::new);
        self.types.resize_with(types as usize, Vec::new);
        self.categories.resize_with(categories, Vec::new);
        self.tags.resize_with(tags as usize, Vec::new);
    }

    /// Adds the next event.
    pub(super) fn push(&mut self, stream: u32, event_type: u32, category: u32, tags: &[u32]) {
        let ordinal = self.events;
        self.streams[stream as usize].push(ordinal);
        self.types[event_type as usize].push(ordinal);
        self.categories[category as usize].push(ordinal);
        for tag in tags {
            let list = &mut self.tags[*tag as usize];
            // An event may carry a tag twice.
            if list.last() != Some(&ordinal) {
                list.push(ordinal);
            }
        }
        self.events += 1;
    }

    /// One list; a code that no event has yet has an empty one.
    pub(super) fn get(&self, list: List) -> &[u32] {
        let (lists, code) = match list {
            List::Stream(code) => (&self.streams, code),
            List::Type(code) => (&self.types, code),
            List::Category(code) => (&self.categories, code),
            List::Tag(code) => (&self.tags, code),
        };
        lists.get(code as usize).map(Vec::as_slice).unwrap_or_default()
    }
}
