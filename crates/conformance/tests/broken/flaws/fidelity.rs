//! Events that come back other than they were written.

use jiff::{Timestamp, Unit};
use mainspring_event::{Metadata, MetadataValue, NewEvent, StoredEvent, Version};
use mainspring_store::{BatchStream, EventStore, Read};

use crate::{
    batches::with_each,
    store::{Broken, Flaw, SOUND},
};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "cuts payloads at a zero byte",
        read: |store, read| {
            changed(store, read, |event| {
                let end = event.payload.iter().position(|byte| *byte == 0).unwrap_or(event.payload.len());
                NewEvent { payload: event.payload.slice(..end), ..event }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "cuts large payloads",
        read: |store, read| {
            changed(store, read, |event| {
                let end = event.payload.len().min(1 << 20);
                NewEvent { payload: event.payload.slice(..end), ..event }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "stores payloads as text",
        read: |store, read| {
            changed(store, read, |event| {
                let text = String::from_utf8_lossy(&event.payload).into_owned();
                NewEvent { payload: text.into(), ..event }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "loses metadata",
        read: |store, read| changed(store, read, |event| NewEvent { metadata: Metadata::default(), ..event }),
        ..SOUND
    },
    Flaw {
        name: "stores numbers in metadata as 32 bits",
        read: |store, read| {
            changed(store, read, |mut event| {
                let mut metadata = event.metadata.clone();
                for (key, value) in event.metadata.entries() {
                    if let MetadataValue::Integer(number) = value {
                        let cut = MetadataValue::Integer(i64::from(*number as i32));
                        metadata.insert(key, cut).expect("the key was valid before");
                    }
                }
                event.metadata = metadata;
                event
            })
        },
        ..SOUND
    },
    Flaw {
        name: "sorts tags and leaves repeated ones out",
        read: |store, read| {
            changed(store, read, |mut event| {
                event.tags.sort();
                event.tags.dedup();
                event
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes everything for JSON",
        read: |store, read| changed(store, read, |event| NewEvent { content_type: "application/json".into(), ..event }),
        ..SOUND
    },
    Flaw {
        name: "rounds times to microseconds",
        read: |store, read| {
            changed(store, read, |event| {
                let time = event.time.round(Unit::Microsecond).unwrap_or(event.time);
                NewEvent { time, ..event }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "stores no time before 1970",
        read: |store, read| {
            changed(store, read, |event| NewEvent { time: event.time.max(Timestamp::UNIX_EPOCH), ..event })
        },
        ..SOUND
    },
    Flaw {
        name: "stamps events with the time of the store",
        read: |store, read| changed(store, read, |event| NewEvent { time: Timestamp::UNIX_EPOCH, ..event }),
        ..SOUND
    },
    Flaw {
        name: "numbers streams from zero",
        read: |store, read| {
            with_each(store.inner.read(read), |event| StoredEvent { version: Version(event.version.0 - 1), ..event })
        },
        ..SOUND
    },
    Flaw {
        name: "returns the position in place of the version",
        read: |store, read| {
            with_each(store.inner.read(read), |event| StoredEvent { version: Version(event.position.0), ..event })
        },
        ..SOUND
    },
    Flaw {
        name: "records times that decrease",
        read: |store, read| {
            with_each(store.inner.read(read), |event| {
                let back = std::time::Duration::from_secs(event.position.0);
                StoredEvent { recorded: event.recorded - back, ..event }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "records in whole minutes",
        read: |store, read| {
            with_each(store.inner.read(read), |event| {
                let second = event.recorded.as_second();
                StoredEvent {
                    recorded: Timestamp::from_second(second - second % 60).unwrap_or(event.recorded),
                    ..event
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "records the time that the author gave",
        read: |store, read| {
            with_each(store.inner.read(read), |event| StoredEvent { recorded: event.event.time, ..event })
        },
        ..SOUND
    },
];

/// Reads events that say something else than was written.
fn changed(store: &Broken, read: Read, change: fn(NewEvent) -> NewEvent) -> BatchStream {
    with_each(store.inner.read(read), move |stored| StoredEvent { event: change(stored.event), ..stored })
}
