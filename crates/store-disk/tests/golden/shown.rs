//! What a store shows, as text that is kept beside its directory.

use futures_util::StreamExt;
use mainspring_event::{Metadata, Position, StoredEvent, StreamName, Tag, Version};
use mainspring_store::{
    Append, AppendError, Check, Conflict, EventStore, Expected, Query, QueryItem, Read, ReadError, Scope,
};
use mainspring_store_disk::DiskStore;
use serde_json::{Map, Value, json};

use crate::history::STREAMS;

/// Everything that can be read.
pub(crate) async fn listing(store: &DiskStore) -> Value {
    let names = STREAMS.map(|name| StreamName::new(name).unwrap());
    let internal = Scope::Streams(names.iter().filter(|name| name.is_internal()).cloned().collect());
    let items = [Scope::Everywhere, internal].map(|scope| QueryItem { scope, ..QueryItem::default() });
    let all = shown(store, Query::Items(items.into())).await.unwrap();
    let mut streams = Map::new();
    for name in names {
        let versions = match shown(store, Query::stream(name.clone())).await {
            Ok(events) => events.iter().map(|event| json!(event.version)).collect(),
            Err(ReadError::Tombstoned { .. }) => json!("tombstoned"),
            Err(error) => panic!("{error:?}"),
        };
        streams.insert(name.to_string(), versions);
    }
    let mut tags = Map::new();
    for tag in ["k:0", "k:1", "k:2", "l:two"] {
        let tagged = shown(store, Query::tags([Tag::parse(tag).unwrap()])).await.unwrap();
        tags.insert(tag.to_owned(), tagged.iter().map(|event| json!(event.position)).collect());
    }
    let head = store.info().await.unwrap().head;
    let events: Vec<_> = all.iter().map(described).collect();
    json!({ "head": head, "streams": streams, "tags": tags, "events": events })
}

/// What only a check tells: where each stream stands, and below which position decisions are stale.
pub(crate) async fn standing(store: &DiskStore) -> Value {
    let mut streams = Map::new();
    for name in STREAMS {
        let nowhere = Expected::Exactly(Version(u64::MAX));
        let stands = match store.append(Append::default().expect(StreamName::new(name).unwrap(), nowhere)).await {
            Err(AppendError::Conflict(Conflict::Stream { actual, .. })) => json!(actual),
            Err(AppendError::Tombstoned { .. }) => json!("tombstoned"),
            answer => panic!("{name}: {answer:?}"),
        };
        streams.insert(name.to_owned(), stands);
    }
    let never = Check::NoMatch { query: Query::tags([Tag::parse("never:1").unwrap()]), after: Some(Position::START) };
    let floor = match store.append(Append::default().check(never)).await {
        Ok(_) => Value::Null,
        Err(AppendError::Stale { floor }) => json!(floor),
        Err(error) => panic!("{error:?}"),
    };
    json!({ "streams": streams, "stale_below": floor })
}

async fn shown(store: &DiskStore, query: Query) -> Result<Vec<StoredEvent>, ReadError> {
    let mut batches = store.read(Read::new(query));
    let mut events = Vec::new();
    while let Some(batch) = batches.next().await {
        events.extend(batch?.iter().map(|event| event.to_stored().unwrap()));
    }
    Ok(events)
}

fn described(stored: &StoredEvent) -> Value {
    let StoredEvent { event, version, position, recorded } = stored;
    let payload: String = event.payload.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut described = json!({
        "position": position,
        "stream": event.stream,
        "version": version,
        "recorded": recorded.to_string(),
        "id": event.id.to_string(),
        "type": event.event_type,
        "schema": event.schema_version,
        "time": event.time.to_string(),
        "source": event.source,
        "content": event.content_type,
        "tags": event.tags,
        "payload": payload,
    });
    if event.metadata != Metadata::default() {
        described["metadata"] = json!(format!("{:?}", event.metadata));
    }
    described
}
