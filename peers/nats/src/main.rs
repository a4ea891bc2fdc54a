//! NATS JetStream with every message synced before its acknowledgement; a batch is one atomic publish.

use std::process::Command;

use anyhow::Context;
use async_nats::{
    Client, HeaderMap,
    jetstream::{self, stream},
};
use peer_driver::{About, Event, Peer, Server};

struct Nats {
    name: String,
    client: Client,
    server: Server,
}

struct Message {
    subject: String,
    headers: HeaderMap,
    payload: Vec<u8>,
}

impl Peer for Nats {
    type Append = Vec<Message>;

    fn about(&self) -> About {
        About {
            name: self.name.clone(),
            durability: "sync_interval: always: fsync in every append to its file",
            stream_versions: false,
            note: "one subject a stream of events; no look-up by tag; a batch is one atomic publish",
            servers: vec![self.server.id()],
        }
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Vec<Message>> {
        let batch = (events.len() > 1).then(|| events[0].id.to_string());
        let count = events.len();
        let message = |(number, event): (usize, Event)| {
            let [customer, region] = event.tags;
            let mut headers = HeaderMap::new();
            headers.insert("Event-Id", event.id.to_string());
            headers.insert("Event-Type", event.event_type);
            headers.insert("Event-Tags", format!("{customer} {region}"));
            if let Some(batch) = &batch {
                headers.insert("Nats-Batch-Id", batch.as_str());
                headers.insert("Nats-Batch-Sequence", (number + 1).to_string());
                if number + 1 == count {
                    headers.insert("Nats-Batch-Commit", "1");
                }
            }
            Message { subject: format!("events.{}", event.stream), headers, payload: event.payload }
        };
        Ok(events.into_iter().enumerate().map(message).collect())
    }

    async fn append(&self, mut messages: Vec<Message>) -> anyhow::Result<()> {
        let last = messages.pop().context("an append has an event")?;
        // One after the other, because a batch is taken only in its order; nothing here waits for the server.
        for message in messages {
            self.client.publish_with_headers(message.subject, message.headers, message.payload.into()).await?;
        }
        let answer = self.client.request_with_headers(last.subject, last.headers, last.payload.into()).await?;
        let refused = answer.payload.windows(7).any(|part| part == b"\"error\"");
        anyhow::ensure!(!refused, "JetStream refused: {}", String::from_utf8_lossy(&answer.payload));
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::run(async |directory: std::path::PathBuf| {
        let port = peer_driver::free_port()?;
        let program = peer_driver::find("nats-server")?;
        let config = directory.join("nats.conf");
        let store = directory.display();
        std::fs::write(
            &config,
            format!("listen: 127.0.0.1:{port}\njetstream {{\n  store_dir: \"{store}\"\n  sync_interval: always\n}}\n"),
        )?;
        let server = Server::start(Command::new(program).arg("-c").arg(config))?;
        let address = format!("127.0.0.1:{port}");
        let client = peer_driver::ready(async || Ok(async_nats::connect(&address).await?)).await?;
        let config = stream::Config {
            name: "events".to_owned(),
            subjects: vec!["events.>".to_owned()],
            storage: stream::StorageType::File,
            allow_atomic_publish: true,
            ..stream::Config::default()
        };
        let context = jetstream::new(client.clone());
        peer_driver::ready(async || Ok(context.create_stream(config.clone()).await?)).await?;
        Ok(Nats { name: format!("NATS {}", client.server_info().version), client, server })
    })
}
