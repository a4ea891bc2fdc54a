//! What does the broker know of attempts after a process was killed, and what comes again?

use std::time::{Duration, Instant};

use anyhow::Result;
use lapin::{
    message::Delivery,
    options::{BasicAckOptions, BasicNackOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use spike_driver::{Victim, figure, unique};
use spike_rabbitmq::{broker, channel, connect, consume, drain, fill, header, next, number, quorum};

const QUIET: Duration = Duration::from_millis(500);

/// Lets a process take ten of thirty messages ahead, handle six, acknowledge five, and kills it. Answers what comes then.
async fn killed(connection: &lapin::Connection, queue: &str) -> Result<Vec<Delivery>> {
    let channel = channel(connection).await?;
    fill(&channel, queue, 0..30).await?;
    let mut victim = Victim::start(env!("CARGO_BIN_EXE_victim"), &[&broker()?, queue, "10", "5"])?;
    for expected in 0..6 {
        assert_eq!(victim.line()?, expected.to_string());
    }
    victim.kill()?;
    let begun = Instant::now();
    let mut consumer = consume(&channel, queue, 100).await?;
    let mut came = vec![next(&mut consumer).await?];
    let first = begun.elapsed();
    came.extend(drain(&mut consumer, QUIET).await?);
    let flagged: Vec<_> = came.iter().filter(|delivery| delivery.redelivered).collect();
    let counts = |name| flagged.iter().map(|delivery| header(delivery, name)).collect::<Vec<_>>();
    figure(&format!(
        "killed with 5 acknowledged and 1 in work: the first came after {:.1} ms; {} of {} came flagged; \
         x-delivery-count {:?}; x-acquired-count {:?}",
        first.as_secs_f64() * 1e3,
        flagged.len(),
        came.len(),
        counts("x-delivery-count"),
        counts("x-acquired-count"),
    ));
    Ok(came)
}

fn check(came: &[Delivery]) -> Result<()> {
    let mut numbers = came.iter().map(number).collect::<Result<Vec<_>>>()?;
    numbers.sort_unstable();
    let lost: Vec<_> = (5..30).filter(|number| !numbers.contains(number)).collect();
    assert!(lost.is_empty(), "{lost:?} are lost");
    // One was tried; what was only fetched cannot be told from it.
    let flagged = came.iter().filter(|delivery| delivery.redelivered).count();
    assert!(flagged > 1, "the flag tells what was tried from what was fetched; then the contract could use it");
    assert!(flagged <= 11, "{flagged} are flagged, but ten were ahead and one was being settled");
    Ok(())
}

#[tokio::test]
async fn a_quorum_queue_counts_what_was_fetched_as_tried() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let queue = quorum(&channel(&connection).await?, "quorum", &[]).await?;
    let came = killed(&connection, &queue).await?;
    check(&came)?;
    let counted = |delivery: &&Delivery| delivery.redelivered && header(delivery, "x-delivery-count").is_some();
    assert!(came.iter().filter(counted).count() > 1, "a quorum queue does not count what was fetched");
    Ok(())
}

#[tokio::test]
async fn a_classic_queue_counts_nothing() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let queue = unique("classic");
    let mut table = FieldTable::default();
    table.insert("x-expires".into(), AMQPValue::LongInt(600_000));
    let own = channel(&connection).await?;
    own.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), table).await?;
    let came = killed(&connection, &queue).await?;
    check(&came)?;
    assert!(came.iter().all(|delivery| header(delivery, "x-delivery-count").is_none()));
    Ok(())
}

/// How often a message comes that is given back each time, up to thirty.
async fn returns(queue: &str, connection: &lapin::Connection) -> Result<usize> {
    let channel = channel(connection).await?;
    fill(&channel, queue, 0..1).await?;
    let mut consumer = consume(&channel, queue, 1).await?;
    for came in 0..30 {
        let Some(delivery) = drain_one(&mut consumer).await? else { return Ok(came) };
        delivery.nack(BasicNackOptions { requeue: true, ..Default::default() }).await?;
    }
    if let Some(delivery) = drain_one(&mut consumer).await? {
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Ok(30)
}

async fn drain_one(consumer: &mut lapin::Consumer) -> Result<Option<Delivery>> {
    use futures_util::StreamExt;
    Ok(tokio::time::timeout(QUIET, consumer.next()).await.ok().flatten().transpose()?)
}

#[tokio::test]
async fn a_message_that_is_given_back_often_is_dropped_unless_the_queue_says_otherwise() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let plain = quorum(&channel(&connection).await?, "plain", &[]).await?;
    let by_default = returns(&plain, &connection).await?;
    let limit = [("x-delivery-limit", AMQPValue::LongInt(-1))];
    let unlimited = match quorum(&channel(&connection).await?, "unlimited", &limit).await {
        Ok(queue) => Some(returns(&queue, &connection).await?),
        Err(_) => None,
    };
    figure(&format!(
        "given back 30 times: came {by_default} times by default; with x-delivery-limit=-1: {unlimited:?}"
    ));
    // Either the default has no limit, or the limit can be taken away; otherwise no attempt would be safe.
    assert!(by_default == 30 || unlimited == Some(30));
    Ok(())
}
