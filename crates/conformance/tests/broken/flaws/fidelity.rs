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
        caught_by: &["durable::every_field_comes_back_as_it_was_written"],
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
        caught_by: &["durable::the_largest_event_comes_back"],
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
        caught_by: &["durable::every_field_comes_back_as_it_was_written"],
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
        caught_by: &["durable::every_field_comes_back_as_it_was_written"],
        read: |store, read| changed(store, read, |event| NewEvent { metadata: Metadata::default(), ..event }),
        ..SOUND
    },
    Flaw {
        name: "stores numbers in metadata as 32 bits",
        caught_by: &["durable::every_field_comes_back_as_it_was_written"],
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
        caught_by: &["durable::every_field_comes_back_as_it_was_written"],
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
        caught_by: &["durable::every_field_comes_back_as_it_was_written"],
        read: |store, read| changed(store, read, |event| NewEvent { content_type: "application/json".into(), ..event }),
        ..SOUND
    },
    Flaw {
        name: "rounds times to microseconds",
        caught_by: &["durable::every_field_comes_back_as_it_was_written"],
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
        caught_by: &["durable::extreme_times_come_back"],
        read: |store, read| {
            changed(store, read, |event| NewEvent { time: event.time.max(Timestamp::UNIX_EPOCH), ..event })
        },
        ..SOUND
    },
    Flaw {
        name: "stamps events with the time of the store",
        caught_by: &["durable::extreme_times_come_back"],
        read: |store, read| changed(store, read, |event| NewEvent { time: Timestamp::UNIX_EPOCH, ..event }),
        ..SOUND
    },
    Flaw {
        name: "numbers streams from zero",
        caught_by: &["versions::versions_count_from_one_in_each_stream"],
        read: |store, read| {
            with_each(store.inner.read(read), |event| StoredEvent { version: Version(event.version.0 - 1), ..event })
        },
        ..SOUND
    },
    Flaw {
        name: "returns the position in place of the version",
        caught_by: &["versions::versions_count_from_one_in_each_stream"],
        read: |store, read| {
            with_each(store.inner.read(read), |event| StoredEvent { version: Version(event.position.0), ..event })
        },
        ..SOUND
    },
    Flaw {
        name: "records times that decrease",
        caught_by: &["time::recorded_never_decreases_under_concurrent_writers"],
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
        caught_by: &["time::recorded_never_decreases_when_the_clock_does"],
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
        caught_by: &["time::recorded_is_the_time_of_the_store"],
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
