//! Opening: what the store says of topics, groups and schedules, and that nobody else works on them from now on.

use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_broker::BrokerError;
use mainspring_event::{EventTypeName, NewEvent, StreamName, Version};
use mainspring_store::{Append, AppendError, BoxError, Expected, Read, Store};

use crate::{
    codec::{
        message,
        progress::Record,
        topology::{GROUP_CREATED, GroupCreated, OPENED, TOPIC_CREATED, TopicCreated},
    },
    journal::own_stream,
    loading::of_stream,
    schedule,
    state::State,
    topic::id_of,
};

/// Reads everything that has to be known, after it has taken the place of whoever worked on the store before.
pub(crate) async fn open(store: &Store, state: &mut State, now: Timestamp) -> Result<(), BrokerError> {
    state.now = now;
    take_over(store, state).await?;
    for topic in 0..state.topics.len() {
        for partition in 0..state.topics[topic].partitions.len() {
            open_partition(store, state, topic, partition).await?;
        }
        open_window(store, state, topic).await?;
    }
    for group in 0..state.groups.len() {
        open_group(store, state, group).await?;
    }
    open_schedule(store, state).await
}

/// Reads the topology and writes that another broker works here: whatever an earlier one still writes is refused.
async fn take_over(store: &Store, state: &mut State) -> Result<(), BrokerError> {
    loop {
        let events = read_all(store, &own_stream()).await?;
        let version = events.last().map_or(Version::NONE, |event| event.version);
        let stream = own_stream();
        let event_type = EventTypeName::new(OPENED).expect("a short plain word is a name");
        let opened = NewEvent::json(stream.clone(), event_type, "{}");
        match store.append(Append::new([opened]).expect(stream, Expected::Exactly(version))).await {
            Ok(_) => state.version = version.0 + 1,
            Err(AppendError::Conflict(_)) => continue,
            Err(error) => return Err(failed(error)),
        }
        for event in events {
            match event.kind.as_str() {
                TOPIC_CREATED => {
                    let created: TopicCreated = serde_json::from_slice(&event.payload).map_err(failed)?;
                    state.create_topic(created.topic().map_err(failed)?).map_err(failed)?;
                }
                GROUP_CREATED => {
                    let created: GroupCreated = serde_json::from_slice(&event.payload).map_err(failed)?;
                    let (spec, floors) = created.subscription().map_err(failed)?;
                    state.create_group(spec, floors).map_err(failed)?;
                }
                OPENED => {}
                other => return Err(failed(format!("an event of the unknown type `{other}` in `{}`", own_stream()))),
            }
        }
        return Ok(());
    }
}

async fn open_partition(store: &Store, state: &mut State, topic: usize, partition: usize) -> Result<(), BrokerError> {
    let state = &mut state.topics[topic].partitions[partition];
    let Some(last) = ends(store, Read::new(of_stream(&state.stream)).backwards()).await? else { return Ok(()) };
    let first = ends(store, Read::new(of_stream(&state.stream))).await?;
    let decoded = message::read(&state.slice.topic, last.payload).map_err(failed)?;
    state.first = first.map_or(0, |first| first.version.0 - 1);
    (state.next, state.end) = (last.version.0, decoded.end);
    (state.stored, state.stored_end, state.opened) = (state.next, state.end, state.next);
    Ok(())
}

/// Reads the ids that a topic remembers against duplicates.
async fn open_window(store: &Store, state: &mut State, topic: usize) -> Result<(), BrokerError> {
    let Some(window) = state.topics[topic].spec.dedupe else { return Ok(()) };
    let begin = state.now.checked_sub(window).unwrap_or(Timestamp::MIN);
    let mut seen = Vec::new();
    for partition in &state.topics[topic].partitions {
        let read = Read::new(of_stream(&partition.stream)).backwards();
        let mut batches = store.read(read);
        'slice: while let Some(batch) = batches.next().await {
            for event in batch.map_err(failed)?.iter() {
                let payload = bytes::Bytes::copy_from_slice(event.payload);
                let decoded = message::read(&partition.slice.topic, payload).map_err(failed)?;
                if decoded.stored <= begin {
                    break 'slice;
                }
                let stored = crate::topic::Stored::read(&partition.slice, event.version.0 - 1, decoded);
                seen.push((stored.stored, stored.place, stored.message));
            }
        }
    }
    seen.sort_by_key(|(stored, _, _)| *stored);
    for (stored, place, message) in seen {
        state.topics[topic].remember(&message, stored);
        state.topics[topic].has_arrived(id_of(&message), Some(place));
    }
    Ok(())
}

/// Repeats the steps of a group.
async fn open_group(store: &Store, state: &mut State, group: usize) -> Result<(), BrokerError> {
    let state = &mut state.groups[group];
    for event in read_all(store, &state.stream).await? {
        state.written += event.payload.len();
        state.version = event.version.0;
        for record in Record::read_all(event.payload).map_err(failed)? {
            let (Record::Settled { slice, .. } | Record::Tried { slice, .. } | Record::Moved { slice, .. }) = &record;
            let cursor = state.cursors.get_mut(*slice as usize);
            cursor.ok_or_else(|| failed("a step of a slice that the group does not have"))?.replay(record);
        }
    }
    state.stored_version = state.version;
    Ok(())
}

async fn open_schedule(store: &Store, state: &mut State) -> Result<(), BrokerError> {
    for event in read_all(store, &schedule::own_stream()).await? {
        state.schedule.replay(event.version.0, event.payload).map_err(failed)?;
    }
    for stretch in state.schedule.numbers() {
        let last = ends(store, Read::new(of_stream(&schedule::stream_of(stretch))).backwards()).await?;
        state.schedule.has_come(stretch, last.map_or(0, |last| last.version.0));
    }
    if state.topics.iter().any(|topic| topic.spec.dedupe.is_some()) {
        for stretch in state.schedule.numbers() {
            open_delayed(store, state, &schedule::stream_of(stretch)).await?;
        }
    }
    Ok(())
}

/// Reads the ids of delayed messages that their topics remember against duplicates.
async fn open_delayed(store: &Store, state: &mut State, stream: &StreamName) -> Result<(), BrokerError> {
    let mut batches = store.read(Read::new(of_stream(stream)));
    while let Some(batch) = batches.next().await {
        for event in batch.map_err(failed)?.iter() {
            let payload = bytes::Bytes::copy_from_slice(event.payload);
            let (due, topic, bytes) = schedule::read(payload).map_err(failed)?;
            let message = message::read(&topic, bytes).map_err(failed)?.message;
            let taken = due.checked_sub(message.delay.unwrap_or_default()).unwrap_or(Timestamp::MIN);
            let Some(topic) = state.topic_of.get(&topic) else { continue };
            let topic = &mut state.topics[*topic];
            let since = state.now.duration_since(taken).unsigned_abs();
            if topic.spec.dedupe.is_some_and(|window| since < window) {
                topic.remember(&message, taken);
                topic.has_arrived(id_of(&message), None);
            }
        }
    }
    Ok(())
}

/// An event of the machinery, as far as it matters.
struct Found {
    kind: String,
    version: Version,
    payload: bytes::Bytes,
}

async fn read_all(store: &Store, stream: &StreamName) -> Result<Vec<Found>, BrokerError> {
    read(store, Read::new(of_stream(stream))).await
}

/// The first event of a read.
async fn ends(store: &Store, from: Read) -> Result<Option<Found>, BrokerError> {
    Ok(read(store, from.limit(1)).await?.pop())
}

async fn read(store: &Store, read: Read) -> Result<Vec<Found>, BrokerError> {
    let mut batches = store.read(read);
    let mut found = Vec::new();
    while let Some(batch) = batches.next().await {
        found.extend(batch.map_err(failed)?.iter().map(|event| Found {
            kind: event.event_type.to_owned(),
            version: event.version,
            payload: bytes::Bytes::copy_from_slice(event.payload),
        }));
    }
    Ok(found)
}

fn failed(error: impl Into<BoxError>) -> BrokerError {
    BrokerError::Failed(error.into())
}
