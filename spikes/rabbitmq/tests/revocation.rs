//! Can a slice, a queue with a single active consumer, be handed over in the middle of work without being overtaken?

use std::time::{Duration, Instant};

use anyhow::Result;
use lapin::{
    options::{BasicAckOptions, BasicCancelOptions},
    types::AMQPValue,
};
use spike_driver::figure;
use spike_rabbitmq::{broker, channel, connect, consume, drain, fill, next, number, quorum};

const SINGLE: [(&str, AMQPValue); 1] = [("x-single-active-consumer", AMQPValue::Boolean(true))];

/// Long enough for a message on this machine to have come if it comes at all.
const QUIET: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_cancelled_consumer_is_overtaken_while_it_works() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let (first, second) = (channel(&connection).await?, channel(&connection).await?);
    let queue = quorum(&first, "cancel", &SINGLE).await?;
    let mut working = consume(&first, &queue, 5).await?;
    fill(&first, &queue, 0..10).await?;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(next(&mut working).await?);
    }
    let mut waiting = consume(&second, &queue, 10).await?;
    assert!(drain(&mut waiting, QUIET).await?.is_empty(), "two consumers are active");

    first.basic_cancel(working.tag(), BasicCancelOptions::default()).await?;
    let overtaking = drain(&mut waiting, QUIET).await?.iter().map(number).collect::<Result<Vec<_>>>()?;
    figure(&format!("cancelled with 0 to 4 in work: the next consumer had {overtaking:?} at once"));
    assert_eq!(overtaking, [5, 6, 7, 8, 9]);
    // What is in work can still be settled: it is the channel that owns it, not the consumer.
    for delivery in &held[..3] {
        assert!(delivery.ack(BasicAckOptions::default()).await?);
    }
    first.close(200, "".into()).await?;
    let back = drain(&mut waiting, QUIET).await?.iter().map(number).collect::<Result<Vec<_>>>()?;
    assert_eq!(back, [3, 4], "what was not settled comes behind what overtook it");
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_drains_and_closes_its_channel_is_not_overtaken() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let (first, second) = (channel(&connection).await?, channel(&connection).await?);
    let queue = quorum(&first, "drain", &SINGLE).await?;
    let mut working = consume(&first, &queue, 5).await?;
    fill(&first, &queue, 0..20).await?;
    let mut waiting = consume(&second, &queue, 100).await?;

    // Three are in work when it is told to give the slice up. The other two that it has fetched are given back untried.
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(next(&mut working).await?);
    }
    for delivery in held.drain(..3) {
        assert!(delivery.ack(BasicAckOptions::default()).await?);
    }
    let begun = Instant::now();
    first.close(200, "".into()).await?;
    let mut came = vec![next(&mut waiting).await?];
    figure(&format!(
        "the next consumer had its first message {:.1} ms after the channel was closed",
        begun.elapsed().as_secs_f64() * 1e3
    ));
    came.extend(drain(&mut waiting, QUIET).await?);
    // Settlements on their way did not make the consumer get more: what was fetched meanwhile came back in its order.
    let came = came.iter().map(number).collect::<Result<Vec<_>>>()?;
    assert_eq!(came, (3..20).collect::<Vec<_>>());
    Ok(())
}
