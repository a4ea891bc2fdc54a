//! What does the broker do with a settlement that comes too late: a second time, or on another channel?

use std::time::Duration;

use anyhow::Result;
use lapin::options::BasicAckOptions;
use spike_driver::{figure, until};
use spike_rabbitmq::{broker, channel, connect, consume, drain, fill, next, number, quorum};

const QUIET: Duration = Duration::from_millis(500);

#[tokio::test]
async fn settling_twice_closes_the_channel_with_all_that_it_held() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let (first, second) = (channel(&connection).await?, channel(&connection).await?);
    let queue = quorum(&first, "twice", &[]).await?;
    fill(&first, &queue, 0..10).await?;
    let mut consumer = consume(&first, &queue, 10).await?;
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(next(&mut consumer).await?);
    }
    first.basic_ack(held[0].delivery_tag, BasicAckOptions::default()).await?;
    // The client answers before the broker has: acknowledgements are not confirmed.
    first.basic_ack(held[0].delivery_tag, BasicAckOptions::default()).await?;
    until("the channel is closed", async || Ok(!first.status().connected())).await?;
    let late = first.basic_ack(held[1].delivery_tag, BasicAckOptions::default()).await;
    assert!(late.is_err(), "a closed channel takes settlements");

    let mut consumer = consume(&second, &queue, 100).await?;
    let back = drain(&mut consumer, QUIET).await?;
    figure(&format!("one settlement too many: the channel was closed, {} of 10 came again", back.len()));
    assert_eq!(back.iter().map(number).collect::<Result<Vec<_>>>()?, (1..10).collect::<Vec<_>>());
    assert!(back.iter().all(|delivery| delivery.redelivered));
    Ok(())
}

#[tokio::test]
async fn a_tag_of_an_earlier_channel_settles_another_message() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let earlier = channel(&connection).await?;
    let queue = quorum(&earlier, "reused", &[]).await?;
    fill(&earlier, &queue, 0..2).await?;
    let mut consumer = consume(&earlier, &queue, 1).await?;
    let stale = next(&mut consumer).await?;
    assert_eq!((number(&stale)?, stale.delivery_tag), (0, 1));

    // Its message is handled elsewhere, while the channel is mended.
    earlier.close(200, "".into()).await?;
    let other = channel(&connection).await?;
    let mut consumer = consume(&other, &queue, 1).await?;
    next(&mut consumer).await?.ack(BasicAckOptions::default()).await?;
    assert_eq!(number(&next(&mut consumer).await?)?, 1);
    other.close(200, "".into()).await?;
    let mended = channel(&connection).await?;
    let mut consumer = consume(&mended, &queue, 1).await?;
    let fresh = next(&mut consumer).await?;
    assert_eq!((number(&fresh)?, fresh.delivery_tag), (1, 1), "tags count from 1 in each channel");

    // The client's own handle knows that its channel is gone, the number alone does not.
    assert!(!stale.ack(BasicAckOptions::default()).await?, "the handle of an earlier channel settled something");
    mended.basic_ack(stale.delivery_tag, BasicAckOptions::default()).await?;
    mended.close(200, "".into()).await?;
    let last = channel(&connection).await?;
    let mut consumer = consume(&last, &queue, 10).await?;
    let left = drain(&mut consumer, QUIET).await?.len();
    figure(&format!("message 1, in work, was settled by the tag of message 0 of an earlier channel: {left} left"));
    assert_eq!(left, 0);
    Ok(())
}
