//! Tephra in process, through its asynchronous handle, so that concurrent appends are committed together.

use peer_driver::{About, Event, Peer};
use tephra::{EventType, SegmentConfig, SegmentSet, Tag, Tags, WriteCoordinator, WriteHandle, WriterConfig};

/// Segments as large as those of Mainspring.
const SEGMENT: usize = 64 << 20;

struct Tephra {
    handle: WriteHandle,
    /// The writer's thread ends when this is dropped.
    _writer: WriteCoordinator,
}

impl Peer for Tephra {
    type Append = Vec<tephra::Event>;

    fn about(&self) -> About {
        About {
            name: "Tephra 0.4".to_owned(),
            durability: "fdatasync in every group of appends",
            stream_versions: false,
            note: "in process; the stream is a third tag; ids are not kept",
            servers: Vec::new(),
        }
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Self::Append> {
        events.iter().map(encode).collect()
    }

    async fn append(&self, events: Self::Append) -> anyhow::Result<()> {
        self.handle.append_async(events, None).await?;
        Ok(())
    }
}

fn encode(event: &Event) -> anyhow::Result<tephra::Event> {
    let [customer, region] = &event.tags;
    let stream = format!("stream:{}", event.stream);
    let tags = [customer.as_str(), region, &stream].into_iter().map(Tag::new).collect::<Result<Vec<_>, _>>()?;
    Ok(tephra::Event::new(&EventType::new(event.event_type)?, &Tags::new(tags)?, &event.payload)?)
}

fn main() -> anyhow::Result<()> {
    peer_driver::run(async |directory: std::path::PathBuf| {
        let set = SegmentSet::open(directory, SegmentConfig::new(SEGMENT))?;
        let (writer, handle) = WriteCoordinator::start(set, WriterConfig::default())?;
        Ok(Tephra { handle, _writer: writer })
    })
}
