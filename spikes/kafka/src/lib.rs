//! Apache Kafka as the questions see it: topics, producers, members that answer rebalances themselves, messages with a number.

use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
    message::BorrowedMessage,
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer},
    types::RDKafkaRespErr,
};
use spike_driver::{PATIENCE, address, unique};

/// How long one look for messages takes at most.
pub const LOOK: Duration = Duration::from_millis(20);

/// A configuration that leads to the broker.
///
/// # Errors
/// When nobody said where it is.
pub fn config() -> Result<ClientConfig> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address("MAINSPRING_KAFKA")?);
    Ok(config)
}

/// A new topic.
///
/// # Errors
/// When the broker refuses it.
pub async fn topic(name: &str, partitions: i32) -> Result<String> {
    let name = unique(name);
    let admin: AdminClient<DefaultClientContext> = config()?.create()?;
    let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await?;
    for made in made {
        made.map_err(|(name, code)| anyhow::anyhow!("cannot create {name}: {code}"))?;
    }
    Ok(name)
}

/// A producer that is idempotent and whose messages never time out, with more settings.
///
/// # Errors
/// When a setting is refused.
pub fn producer(settings: &[(&str, &str)]) -> Result<FutureProducer> {
    let mut config = config()?;
    config.set("acks", "all").set("enable.idempotence", "true").set("message.timeout.ms", "0");
    config.set("linger.ms", "0").set("queue.buffering.max.messages", "100000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    Ok(config.create()?)
}

/// Sends a number; its confirmation comes later. Waits while the client has no room.
///
/// # Errors
/// When the client refuses it.
pub async fn send(producer: &FutureProducer, topic: &str, partition: i32, body: &[u8]) -> Result<DeliveryFuture> {
    let mut record = FutureRecord::<(), _>::to(topic).partition(partition).payload(body);
    loop {
        match producer.send_result(record) {
            Ok(confirmation) => return Ok(confirmation),
            Err((error, back)) => {
                if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                record = back;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }
}

/// Whether a message is stored.
///
/// # Errors
/// When it is not surely stored.
pub async fn stored(confirmation: DeliveryFuture) -> Result<()> {
    confirmation.await.context("the producer is gone")?.map_err(|(error, _)| error)?;
    Ok(())
}

/// Stores the numbers of a range in a partition.
///
/// # Errors
/// When that is not possible.
pub async fn fill(topic: &str, partition: i32, numbers: std::ops::Range<usize>) -> Result<()> {
    let producer = producer(&[])?;
    let mut confirmations = Vec::new();
    for number in numbers {
        confirmations.push(send(&producer, topic, partition, number.to_string().as_bytes()).await?);
    }
    for confirmation in confirmations {
        stored(confirmation).await?;
    }
    producer.flush(PATIENCE)?;
    Ok(())
}

/// What a member was told.
#[derive(Debug, PartialEq)]
pub enum Told {
    /// These partitions are its own; it has taken them.
    Assigned(Vec<i32>),
    /// It is to give these up. Nobody has answered yet.
    Revoking(Vec<i32>),
}

/// Takes what is assigned at once, and leaves revocations for the test to answer, until the member ends.
#[derive(Default)]
pub struct Rebalances {
    told: Mutex<VecDeque<Told>>,
    ending: AtomicBool,
}

impl ClientContext for Rebalances {}

impl ConsumerContext for Rebalances {
    fn rebalance(&self, member: &BaseConsumer<Self>, code: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = list.elements().iter().map(|partition| partition.partition()).collect();
        let told = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            member.incremental_assign(list).expect("the list is the client's own");
            Told::Assigned(partitions)
        } else {
            if self.ending.load(Ordering::Acquire) {
                member.incremental_unassign(list).expect("the list is the client's own");
            }
            Told::Revoking(partitions)
        };
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push_back(told);
    }
}

impl Rebalances {
    /// The next thing it was told, if anything.
    pub fn next(&self) -> Option<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// A member that answers revocations itself. One that ends without an answer would never end, so this one answers then.
pub struct Patient(BaseConsumer<Rebalances>);

impl Patient {
    /// A member of `group`, which takes part in `topic`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn join(group: &str, topic: &str) -> Result<Self> {
        let member = Self(member(group, &[])?.create_with_context(Rebalances::default())?);
        member.subscribe(&[topic])?;
        Ok(member)
    }
}

impl Deref for Patient {
    type Target = BaseConsumer<Rebalances>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        self.0.context().ending.store(true, Ordering::Release);
        // A revocation that was left unanswered is answered by this; otherwise it only comes a moment early.
        if let Ok(all) = self.0.assignment() {
            let _ = self.0.incremental_unassign(&all);
        }
    }
}

/// The settings of a member of a group that commits by itself only.
///
/// # Errors
/// When nobody said where the broker is.
pub fn member(group: &str, settings: &[(&str, &str)]) -> Result<ClientConfig> {
    let mut config = config()?;
    config.set("group.id", group).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    config.set("partition.assignment.strategy", "cooperative-sticky").set("session.timeout.ms", "6000");
    config.set("isolation.level", "read_committed");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    Ok(config)
}

/// The next message, which has to come.
///
/// # Errors
/// When it does not.
pub fn next<C: ConsumerContext>(member: &BaseConsumer<C>) -> Result<BorrowedMessage<'_>> {
    let begun = Instant::now();
    loop {
        if let Some(message) = member.poll(LOOK) {
            return Ok(message?);
        }
        if begun.elapsed() > PATIENCE {
            bail!("no message comes");
        }
    }
}

/// All numbers of a partition, as a reader sees them that belongs to no group.
///
/// # Errors
/// When they cannot be read.
pub fn read(topic: &str, partition: i32) -> Result<Vec<usize>> {
    let reader: BaseConsumer = member("none", &[("enable.partition.eof", "true")])?.create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning)?;
    reader.assign(&list)?;
    let (begun, mut numbers) = (Instant::now(), Vec::new());
    loop {
        match reader.poll(LOOK) {
            Some(Ok(message)) => numbers.push(number(&message)?),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => return Ok(numbers),
            Some(Err(error)) => return Err(error.into()),
            None if begun.elapsed() > PATIENCE => bail!("the end of {topic} is not reached"),
            None => {}
        }
    }
}

/// Says that everything before `offset` is settled, and waits for the answer.
///
/// # Errors
/// What the broker answers.
pub fn commit<C: ConsumerContext>(member: &BaseConsumer<C>, topic: &str, partition: i32, offset: i64) -> Result<()> {
    Ok(member.commit(&at(topic, partition, offset)?, CommitMode::Sync)?)
}

/// One partition with an offset.
///
/// # Errors
/// When the offset is none.
pub fn at(topic: &str, partition: i32, offset: i64) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    Ok(list)
}

/// How far a group has come in a partition.
///
/// # Errors
/// When it cannot be asked.
pub fn committed(group: &str, topic: &str, partition: i32) -> Result<Option<i64>> {
    let asking: BaseConsumer = member(group, &[])?.create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let list = asking.committed_offsets(list, PATIENCE)?;
    Ok(match list.find_partition(topic, partition).context("the broker left the partition out")?.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    })
}

/// The number that a message carries.
///
/// # Errors
/// When it carries none.
pub fn number(message: &impl Message) -> Result<usize> {
    let text = std::str::from_utf8(message.payload().context("the message has no body")?)?;
    text.trim().parse().with_context(|| format!("`{text}` is no number"))
}
