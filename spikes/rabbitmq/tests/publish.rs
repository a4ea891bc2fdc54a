//! How fast is publishing when each batch is awaited, and when it is admitted and confirmed later? Does order survive a
//! connection that ends in the middle, and a queue that is full for a moment?

use std::{collections::VecDeque, time::Instant};

use anyhow::Result;
use futures_util::future::join_all;
use lapin::{Channel, options::BasicAckOptions, types::AMQPValue};
use spike_driver::{Network, figure, first_occurrences, rate, until};
use spike_rabbitmq::{broker, channel, connect, consume, fill, next, number, publish, quorum, stored};

const BODY: [u8; 256] = [b'x'; 256];

/// How many may be unconfirmed where confirmations come later.
const WINDOW: usize = 2_000;

async fn awaited(channel: &Channel, queue: &str, count: usize, batch: usize) -> Result<f64> {
    let begun = Instant::now();
    for _ in 0..count / batch {
        let mut confirmations = Vec::with_capacity(batch);
        for _ in 0..batch {
            confirmations.push(publish(channel, queue, &BODY).await?);
        }
        for confirmation in confirmations {
            stored(confirmation).await?;
        }
    }
    Ok(rate(count, begun))
}

async fn admitted(channel: &Channel, queue: &str, count: usize, batch: usize) -> Result<f64> {
    let begun = Instant::now();
    let mut unconfirmed = VecDeque::new();
    for _ in 0..count / batch {
        for _ in 0..batch {
            unconfirmed.push_back(publish(channel, queue, &BODY).await?);
        }
        while unconfirmed.len() > WINDOW {
            stored(unconfirmed.pop_front().expect("there are more than none")).await?;
        }
    }
    for confirmation in unconfirmed {
        stored(confirmation).await?;
    }
    Ok(rate(count, begun))
}

#[tokio::test]
async fn admission_is_faster_than_awaiting_each_batch() -> Result<()> {
    let connection = connect(&broker()?).await?;
    let channel = channel(&connection).await?;
    let mut gain_at_one = 0.0;
    for (batch, count) in [(1, 1_000), (100, 10_000), (1_000, 20_000)] {
        let queue = quorum(&channel, "publish", &[]).await?;
        let awaited = awaited(&channel, &queue, count, batch).await?;
        let admitted = admitted(&channel, &queue, count.max(10_000), batch).await?;
        figure(&format!(
            "batch {batch}: {awaited:.0}/s awaited, {admitted:.0}/s admitted, {:.1} times",
            admitted / awaited
        ));
        if batch == 1 {
            gain_at_one = admitted / awaited;
        }
        channel.queue_delete(queue.as_str().into(), Default::default()).await?;
    }
    assert!(gain_at_one > 1.2, "admission gains nothing at batch 1: {gain_at_one:.1} times");
    Ok(())
}

#[tokio::test]
async fn order_survives_a_connection_that_is_cut() -> Result<()> {
    const COUNT: usize = 20_000;
    let broker = broker()?;
    let safe = connect(&broker).await?;
    let safe = channel(&safe).await?;
    let queue = quorum(&safe, "cut", &[]).await?;

    let network = Network::to(&broker).await?;
    let doomed = connect(network.address()).await?;
    let doomed = channel(&doomed).await?;
    let sending = {
        let queue = queue.clone();
        tokio::spawn(async move {
            let mut confirmations = Vec::new();
            for number in 0..COUNT {
                match publish(&doomed, &queue, number.to_string().as_bytes()).await {
                    Ok(confirmation) => confirmations.push(confirmation),
                    Err(_) => break,
                }
                // The test has one thread, and the others are to run as well.
                tokio::task::yield_now().await;
            }
            let answers = join_all(confirmations).await;
            answers.into_iter().map(|answer| answer.is_ok_and(|answer| answer.is_ack())).collect::<Vec<_>>()
        })
    };
    until("some messages arrive", async || {
        let passive = lapin::options::QueueDeclareOptions { passive: true, ..Default::default() };
        let queue = safe.queue_declare(queue.as_str().into(), passive, Default::default()).await?;
        Ok(queue.message_count() > 500)
    })
    .await?;
    network.cut().await?;
    let confirmed = sending.await?;
    let resume = confirmed.iter().position(|confirmed| !confirmed).unwrap_or(confirmed.len());
    let beyond = confirmed[resume..].iter().filter(|confirmed| **confirmed).count();
    assert!(resume < COUNT, "the connection was cut after everything was confirmed; nothing was tried");

    fill(&safe, &queue, resume..COUNT).await?;
    let mut consumer = consume(&safe, &queue, 1_000).await?;
    let mut came = Vec::new();
    while came.last() != Some(&(COUNT - 1)) {
        let delivery = next(&mut consumer).await?;
        delivery.ack(BasicAckOptions::default()).await?;
        came.push(number(&delivery)?);
    }
    let duplicates = came.len() - COUNT;
    figure(&format!(
        "cut after {} were sent and {resume} confirmed ({beyond} beyond the first that was not); sent again from there: \
         {duplicates} came twice",
        confirmed.len()
    ));
    assert_eq!(first_occurrences(&came), (0..COUNT).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn a_full_queue_takes_later_messages_after_it_refused_earlier_ones() -> Result<()> {
    const COUNT: usize = 1_000;
    let connection = connect(&broker()?).await?;
    let publisher = channel(&connection).await?;
    let arguments =
        [("x-max-length", AMQPValue::LongInt(10)), ("x-overflow", AMQPValue::LongString("reject-publish".into()))];
    let queue = quorum(&publisher, "full", &arguments).await?;
    // Nobody takes anything yet, so it fills.
    let mut confirmations = Vec::new();
    for _ in 0..COUNT {
        confirmations.push(publish(&publisher, &queue, &BODY).await?);
    }
    let mut refused = 0;
    for confirmation in join_all(confirmations).await {
        refused += usize::from(!confirmation?.is_ack());
    }
    let receiver = channel(&connection).await?;
    let mut consumer = consume(&receiver, &queue, 100).await?;
    let draining = tokio::spawn(async move {
        while let Ok(delivery) = next(&mut consumer).await {
            if delivery.ack(BasicAckOptions::default()).await.is_err() {
                break;
            }
        }
    });
    let mut overtaken = 0;
    for _ in 0..COUNT {
        overtaken += usize::from(publish(&publisher, &queue, &BODY).await?.await?.is_ack());
    }
    draining.abort();
    figure(&format!("{refused} of {COUNT} refused by a full queue; {overtaken} later ones were stored before them"));
    assert!(refused > 0 && overtaken > 0, "the queue was never full, or took nothing after that");
    Ok(())
}
