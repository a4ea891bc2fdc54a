//! The embedded event store: durable append at several shapes, sequential read, loading an aggregate.

mod aggregate;
mod append;
mod raw;
mod read;

use std::fs;

use mainspring::{
    Store,
    disk::DiskStore,
    event::{EventTypeName, NameError, NewEvent, StreamName, Tag},
};

use crate::{Settings, table::Table};

/// How many streams the events of the append and read rows are spread over.
const STREAMS: usize = 10_000;

/// Length of a payload in bytes.
const PAYLOAD: usize = 256;

pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    fs::create_dir_all(&settings.directory)?;
    let directory = tempfile::Builder::new().prefix("store-").tempdir_in(&settings.directory)?;
    let title = format!(
        "Embedded event store in {}: payloads of {PAYLOAD} bytes, {STREAMS} streams, two tags an event,\n\
         every append synced before it is answered, ids checked; the raw limit is pwrite + fdatasync of as many bytes, in\n\
         alternating slices of {} ms",
        settings.directory.display(),
        crate::paired::SLICE.as_millis(),
    );
    let table = Table::begin(settings.json, &title);
    append::run(settings, &table, directory.path()).await?;
    read::run(settings, &table, directory.path()).await?;
    aggregate::run(settings, &table, directory.path()).await
}

fn open(directory: &std::path::Path, name: &str) -> anyhow::Result<Store> {
    Ok(Store::new(DiskStore::open(directory.join(name))?))
}

/// Makes events that look like those of a service.
struct Source {
    streams: Vec<StreamName>,
    event_type: EventTypeName,
    region: Tag,
    payload: Vec<u8>,
    next: usize,
}

impl Source {
    /// Events of the streams `CATEGORY-0` and on.
    fn new(category: &str, first: usize) -> Result<Self, NameError> {
        let streams = (0..STREAMS).map(|key| StreamName::of(category, key)).collect::<Result<_, _>>()?;
        let mut payload = br#"{"note":""#.to_vec();
        payload.resize(PAYLOAD - 2, b'x');
        payload.extend_from_slice(br#""}"#);
        Ok(Self {
            streams,
            event_type: "OrderPlaced".parse()?,
            region: Tag::new("region", "north")?,
            payload,
            next: first,
        })
    }

    fn event(&mut self) -> Result<NewEvent, NameError> {
        // Far apart and never twice in a batch.
        self.next = (self.next + 7919) % STREAMS;
        let stream = self.streams[self.next].clone();
        let mut event = NewEvent::json(stream, self.event_type.clone(), self.payload.clone());
        event.tags = vec![Tag::new("customer", self.next)?, self.region.clone()];
        Ok(event)
    }

    fn events(&mut self, count: usize) -> Result<Vec<NewEvent>, NameError> {
        (0..count).map(|_| self.event()).collect()
    }
}
