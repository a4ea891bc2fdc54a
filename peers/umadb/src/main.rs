//! UmaDB's engine with the writer thread of its server, in process: its group commit without the cost of gRPC.

use std::sync::Arc;

use anyhow::Context;
use peer_driver::{About, Event, Peer};
use tokio::sync::{mpsc, oneshot, watch};
use umadb_core::{
    mvcc::{Mvcc, StorageOptions},
    writer_thread_blocking::writer_thread_blocking,
    writer_thread_request::WriterThreadRequest,
};
use umadb_dcb::DcbEvent;

/// Most events in one commit, as its server has it.
const LARGEST_GROUP: usize = 2048;

struct UmaDb {
    writer: mpsc::Sender<WriterThreadRequest>,
}

impl Peer for UmaDb {
    type Append = Vec<DcbEvent>;

    fn about(&self) -> About {
        About {
            name: "UmaDB 0.7".to_owned(),
            durability: "fdatasync in every group of appends",
            stream_versions: false,
            note: "its engine and writer thread in process, without gRPC; the stream is a third tag",
            servers: Vec::new(),
        }
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Self::Append> {
        Ok(events.into_iter().map(encode).collect())
    }

    async fn append(&self, events: Self::Append) -> anyhow::Result<()> {
        let (response_tx, response) = oneshot::channel();
        let request =
            WriterThreadRequest::Append { events, condition: None, tracking_info: None, response_tx, cancel: None };
        self.writer.send(request).await.ok().context("the writer of UmaDB has ended")?;
        response.await.context("the writer of UmaDB did not answer")??;
        Ok(())
    }
}

fn encode(event: Event) -> DcbEvent {
    let [customer, region] = event.tags;
    DcbEvent {
        event_type: event.event_type.to_owned(),
        tags: vec![customer, region, format!("stream:{}", event.stream)],
        data: event.payload,
        uuid: Some(event.id),
        metadata: Vec::new(),
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::run(async |directory: std::path::PathBuf| {
        let engine = Arc::new(Mvcc::new(false, StorageOptions::default().db_path(directory))?);
        let (writer, requests) = mpsc::channel(1024);
        let (head, _) = watch::channel(None);
        std::thread::spawn(move || writer_thread_blocking(engine, requests, head, LARGEST_GROUP));
        Ok(UmaDb { writer })
    })
}
