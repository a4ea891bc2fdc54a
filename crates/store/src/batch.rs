//! A batch of events as a read yields it, with the progress it stands for.

use std::{fmt, sync::Arc};

use mainspring_event::{EventBuffer, EventRef, Position};

/// Some events in one shared buffer, and how far the read has come. Cloning costs one reference count.
///
/// A batch may be empty: a read sends one on reaching the end and at bounded intervals, so that progress is known even
/// where nothing matches.
#[derive(Clone)]
pub struct EventBatch {
    events: Arc<dyn EventBuffer>,
    through: Position,
    caught_up: bool,
}

impl EventBatch {
    /// A batch of `events`; see [`through`](Self::through) and [`caught_up`](Self::caught_up).
    pub fn new(events: Arc<dyn EventBuffer>, through: Position, caught_up: bool) -> Self {
        Self { events, through, caught_up }
    }

    /// Progress without events.
    pub fn empty(through: Position, caught_up: bool) -> Self {
        struct Nothing;
        impl EventBuffer for Nothing {
            fn len(&self) -> usize {
                0
            }
            fn get(&self, index: usize) -> EventRef<'_> {
                panic!("an empty batch has no event {index}")
            }
        }
        Self::new(Arc::new(Nothing), through, caught_up)
    }

    /// Every match up to here has been delivered (backwards: down to here). Reading on after this position, in the same
    /// direction, misses nothing and repeats nothing. It never falls inside a commit unless a limit forces it.
    pub fn through(&self) -> Position {
        self.through
    }

    /// Whether the read had reached the end when it sent this batch.
    pub fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events, borrowed, in the direction of the read.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = EventRef<'_>> {
        (0..self.events.len()).map(|index| self.events.get(index))
    }

    /// The buffer, to keep an event's envelope with what was decoded from it.
    pub fn buffer(&self) -> &Arc<dyn EventBuffer> {
        &self.events
    }
}

impl fmt::Debug for EventBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBatch")
            .field("events", &self.iter().collect::<Vec<_>>())
            .field("through", &self.through)
            .field("caught_up", &self.caught_up)
            .finish()
    }
}
