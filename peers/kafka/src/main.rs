//! Apache Kafka with a flush in every append to its log: one broker, one partition, because one partition is one order.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context;
use peer_driver::{About, Event, Missing, Peer, Server};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};

const TOPIC: &str = "events";

/// Messages of a batch; the producer sends one as soon as it is full.
const BATCH: usize = 1000;

struct Kafka {
    name: String,
    /// Sends at once, whatever has gathered.
    single: FutureProducer,
    /// Waits until a batch is full.
    batches: FutureProducer,
    server: Server,
}

struct Message {
    key: String,
    headers: OwnedHeaders,
    payload: Vec<u8>,
}

impl Peer for Kafka {
    type Append = Vec<Message>;

    fn about(&self) -> About {
        About {
            name: self.name.clone(),
            durability: "acks=all, flush.messages=1: fsync in every append to its log",
            stream_versions: false,
            note: "one broker, one partition; no look-up by stream or tag; a batch is one record batch",
            servers: vec![self.server.id()],
        }
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Vec<Message>> {
        let message = |event: Event| {
            let [customer, region] = event.tags;
            let (id, tags) = (event.id.to_string(), format!("{customer} {region}"));
            let headers = OwnedHeaders::new_with_capacity(3)
                .insert(Header { key: "id", value: Some(&id) })
                .insert(Header { key: "type", value: Some(event.event_type) })
                .insert(Header { key: "tags", value: Some(&tags) });
            Message { key: event.stream, headers, payload: event.payload }
        };
        Ok(events.into_iter().map(message).collect())
    }

    async fn append(&self, messages: Vec<Message>) -> anyhow::Result<()> {
        let producer = if messages.len() == BATCH { &self.batches } else { &self.single };
        let mut sent = Vec::with_capacity(messages.len());
        for message in messages {
            let record = FutureRecord::to(TOPIC).key(&message.key).headers(message.headers).payload(&message.payload);
            sent.push(producer.send_result(record).map_err(|(error, _)| error)?);
        }
        for delivery in sent {
            delivery.await?.map_err(|(error, _)| error)?;
        }
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    peer_driver::run(async |directory: PathBuf| {
        let jars = peer_driver::find("kafka").map_err(|_| Missing("kafka"))?;
        let (port, controller) = (peer_driver::free_port()?, peer_driver::free_port()?);
        let server = start(&directory, &jars, port, controller)?;
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("127.0.0.1:{port}")).set("acks", "all");
        config.set("enable.idempotence", "true").set("queue.buffering.max.messages", "1000000");
        let admin: AdminClient<DefaultClientContext> = config.create()?;
        peer_driver::ready(async || {
            let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1)).set("flush.messages", "1");
            let made = admin.create_topics([&topic], &AdminOptions::new().request_timeout(Some(SHORT))).await?;
            for made in made {
                match made {
                    // A busy broker may have made it after the request before this one had timed out.
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => return Err(code.into()),
                }
            }
            Ok(())
        })
        .await?;
        let single = config.clone().set("linger.ms", "0").create()?;
        let batch = BATCH.to_string();
        let batches = config.set("linger.ms", "1000").set("batch.num.messages", batch).create()?;
        Ok(Kafka { name: format!("Kafka {}", version(&jars)?), single, batches, server })
    })
}

/// How long one try to reach the broker may take.
const SHORT: Duration = Duration::from_secs(2);

fn start(directory: &Path, jars: &Path, port: u16, controller: u16) -> anyhow::Result<Server> {
    let logs = directory.join("logs").display().to_string();
    let config = directory.join("server.properties");
    fs::write(
        &config,
        format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={logs}\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\nshare.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n"
        ),
    )?;
    let java = || {
        let mut command = Command::new("java");
        command.arg("-Xmx512m").arg("-cp").arg(jars.join("*")).current_dir(directory);
        command
    };
    let mut format = java();
    format.args(["kafka.tools.StorageTool", "format", "-t", "bWFpbnNwcmluZ2JlbmNoMQ", "-c"]).arg(&config);
    let formatted = format.output().context("cannot run java")?;
    anyhow::ensure!(formatted.status.success(), "cannot format: {}", String::from_utf8_lossy(&formatted.stderr));
    Server::start(java().arg("kafka.Kafka").arg(&config))
}

/// The version in the name of the broker's archive.
fn version(jars: &Path) -> anyhow::Result<String> {
    let names = fs::read_dir(jars)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let version = |name: String| Some(name.strip_prefix("kafka_2.13-")?.strip_suffix(".jar")?.to_owned());
    names.into_iter().find_map(version).context("there is no archive kafka_2.13-….jar")
}
