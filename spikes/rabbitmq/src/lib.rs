//! RabbitMQ as the questions see it: connections, quorum queues, messages with a number.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer, PublisherConfirm,
    message::Delivery,
    options::{BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use spike_driver::{PATIENCE, address, unique};

/// Where the broker is.
///
/// # Errors
/// When nobody said it.
pub fn broker() -> Result<String> {
    address("MAINSPRING_RABBITMQ")
}

/// A connection to `address`, which does not mend itself.
///
/// # Errors
/// When the broker cannot be reached.
pub async fn connect(address: &str) -> Result<Connection> {
    let uri = format!("amqp://guest:guest@{address}/%2f");
    let connected = tokio::time::timeout(PATIENCE, Connection::connect(&uri, ConnectionProperties::default())).await;
    connected.context("the broker does not answer")?.with_context(|| format!("cannot connect to {address}"))
}

/// A channel that confirms what is published.
///
/// # Errors
/// When the connection is gone.
pub async fn channel(connection: &Connection) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// A new quorum queue, which goes when nobody has used it for ten minutes.
///
/// # Errors
/// When the broker refuses it.
pub async fn quorum(channel: &Channel, name: &str, arguments: &[(&str, AMQPValue)]) -> Result<String> {
    let name = unique(name);
    let mut table = FieldTable::default();
    table.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    table.insert("x-expires".into(), AMQPValue::LongInt(600_000));
    for (argument, value) in arguments {
        table.insert((*argument).into(), value.clone());
    }
    channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), table).await?;
    Ok(name)
}

/// Publishes one message, persistent and mandatory; its confirmation comes later.
///
/// # Errors
/// When the channel is gone.
pub async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> Result<PublisherConfirm> {
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default().with_delivery_mode(2);
    Ok(channel.basic_publish("".into(), queue.into(), options, body, properties).await?)
}

/// Publishes the numbers of a range and waits until all are stored.
///
/// # Errors
/// When one is not.
pub async fn fill(channel: &Channel, queue: &str, numbers: std::ops::Range<usize>) -> Result<()> {
    let mut confirmations = Vec::new();
    for number in numbers {
        confirmations.push(publish(channel, queue, number.to_string().as_bytes()).await?);
    }
    for confirmation in confirmations {
        stored(confirmation).await?;
    }
    Ok(())
}

/// Waits until a message is stored.
///
/// # Errors
/// When it is not.
pub async fn stored(confirmation: PublisherConfirm) -> Result<()> {
    let confirmation = confirmation.await?;
    anyhow::ensure!(confirmation.is_ack() && confirmation.take_message().is_none(), "it was refused or has no route");
    Ok(())
}

/// A consumer that gets so many messages ahead.
///
/// # Errors
/// When the broker refuses it.
pub async fn consume(channel: &Channel, queue: &str, prefetch: u16) -> Result<Consumer> {
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let consumer =
        channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
    Ok(consumer)
}

/// The next message, which has to come.
///
/// # Errors
/// When it does not.
pub async fn next(consumer: &mut Consumer) -> Result<Delivery> {
    let next = tokio::time::timeout(PATIENCE, consumer.next()).await.context("no message comes")?;
    Ok(next.context("the consumer has ended")??)
}

/// What comes until nothing has come for so long.
///
/// # Errors
/// When the channel ends.
pub async fn drain(consumer: &mut Consumer, quiet: Duration) -> Result<Vec<Delivery>> {
    let mut all = Vec::new();
    while let Ok(next) = tokio::time::timeout(quiet, consumer.next()).await {
        all.push(next.context("the consumer has ended")??);
    }
    Ok(all)
}

/// The number that a message carries.
///
/// # Errors
/// When it carries none.
pub fn number(delivery: &Delivery) -> Result<usize> {
    let text = std::str::from_utf8(&delivery.data).context("the body is no text")?;
    text.trim().parse().with_context(|| format!("`{text}` is no number"))
}

/// A number in the headers of a message.
pub fn header(delivery: &Delivery, name: &str) -> Option<i64> {
    match delivery.properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongLongInt(number) => Some(*number),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        AMQPValue::ShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortInt(number) => Some((*number).into()),
        AMQPValue::ShortShortUInt(number) => Some((*number).into()),
        _ => None,
    }
}
