//! Redis Streams with the append-only file synced before every answer: one Redis stream for each stream of events.

use std::process::Command;

use peer_driver::{About, Event, Peer, Server};
use redis::{Pipeline, aio::MultiplexedConnection};

struct Redis {
    name: String,
    connection: MultiplexedConnection,
    server: Server,
}

impl Peer for Redis {
    type Append = Pipeline;

    fn about(&self) -> About {
        About {
            name: self.name.clone(),
            durability: "appendfsync always: fdatasync before the answers of every turn of its loop",
            stream_versions: false,
            note: "in memory; no order over streams, no look-up by tag; a batch is MULTI … EXEC",
            servers: vec![self.server.id()],
        }
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Pipeline> {
        let mut pipeline = redis::pipe();
        if events.len() > 1 {
            pipeline.atomic();
        }
        for event in events {
            let [customer, region] = event.tags;
            let id = event.id.to_string();
            pipeline.cmd("XADD").arg(event.stream).arg("*").arg("id").arg(id).arg("type").arg(event.event_type);
            pipeline.arg("tags").arg(format!("{customer} {region}")).arg("payload").arg(event.payload).ignore();
        }
        Ok(pipeline)
    }

    async fn append(&self, pipeline: Pipeline) -> anyhow::Result<()> {
        Ok(pipeline.query_async(&mut self.connection.clone()).await?)
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::run(async |directory: std::path::PathBuf| {
        let port = peer_driver::free_port()?;
        let mut command = Command::new(peer_driver::find("redis-server")?);
        command.current_dir(directory).args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        let server = Server::start(&mut command)?;
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let mut connection = peer_driver::ready(async || {
            let mut connection = client.get_multiplexed_async_connection().await?;
            redis::cmd("PING").exec_async(&mut connection).await?;
            Ok(connection)
        })
        .await?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("of unknown version");
        Ok(Redis { name: format!("Redis {version}"), connection, server })
    })
}
