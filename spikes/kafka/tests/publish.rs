//! How fast is publishing when each batch is awaited, and when it is admitted and confirmed later? Does order survive a
//! producer that is given up, and messages that time out?

use std::{collections::VecDeque, time::Instant};

use anyhow::Result;
use futures_util::future::join_all;
use rdkafka::producer::{FutureProducer, Producer, PurgeConfig};
use spike_driver::{figure, first_occurrences, rate};
use spike_kafka::{producer, read, send, stored, topic};

const BODY: [u8; 256] = [b'x'; 256];

/// How many may be unconfirmed where confirmations come later.
const WINDOW: usize = 20_000;

async fn awaited(producer: &FutureProducer, topic: &str, count: usize, batch: usize) -> Result<f64> {
    let begun = Instant::now();
    for _ in 0..count / batch {
        let mut confirmations = Vec::with_capacity(batch);
        for _ in 0..batch {
            confirmations.push(send(producer, topic, 0, &BODY).await?);
        }
        for confirmation in confirmations {
            stored(confirmation).await?;
        }
    }
    Ok(rate(count, begun))
}

async fn admitted(producer: &FutureProducer, topic: &str, count: usize, batch: usize) -> Result<f64> {
    let begun = Instant::now();
    let mut unconfirmed = VecDeque::new();
    for _ in 0..count / batch {
        for _ in 0..batch {
            unconfirmed.push_back(send(producer, topic, 0, &BODY).await?);
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

#[tokio::test(flavor = "multi_thread")]
async fn admission_is_faster_than_awaiting_each_batch() -> Result<()> {
    let (at_once, gathering) = (producer(&[])?, producer(&[("linger.ms", "5")])?);
    let mut gains = Vec::new();
    for (batch, count) in [(1, 2_000), (100, 20_000), (1_000, 100_000)] {
        let topic = topic("publish", 1).await?;
        // The first message asks for the topic, which takes its time.
        awaited(&at_once, &topic, 1, 1).await?;
        awaited(&gathering, &topic, 1, 1).await?;
        let awaited = awaited(&at_once, &topic, count, batch).await?;
        let admitted = admitted(&gathering, &topic, 200_000, batch).await?;
        figure(&format!(
            "batch {batch}: {awaited:.0}/s awaited, {admitted:.0}/s admitted, {:.1} times",
            admitted / awaited
        ));
        gains.push(admitted / awaited);
    }
    assert!(gains[0] > 2.0 && gains[1] > 1.1, "admission gains nothing: {gains:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn order_survives_a_producer_that_is_given_up() -> Result<()> {
    const COUNT: usize = 50_000;
    let topic = topic("given-up", 1).await?;
    let doomed = producer(&[("batch.num.messages", "100")])?;
    let mut confirmations = Vec::new();
    for number in 0..COUNT {
        confirmations.push(send(&doomed, &topic, 0, number.to_string().as_bytes()).await?);
        if number == COUNT / 2 {
            // Some are stored by now, some are on their way, most wait.
            stored(confirmations.remove(0)).await?;
            doomed.purge(PurgeConfig::default().queue().inflight());
            break;
        }
    }
    let confirmed = join_all(confirmations.into_iter().map(stored)).await;
    let resume = 1 + confirmed.iter().position(Result::is_err).unwrap_or(confirmed.len());
    drop(doomed);
    assert!(resume <= COUNT / 2, "everything was confirmed before the producer was given up; nothing was tried");

    let fresh = producer(&[])?;
    let mut confirmations = Vec::new();
    for number in resume..COUNT {
        confirmations.push(send(&fresh, &topic, 0, number.to_string().as_bytes()).await?);
    }
    for confirmation in confirmations {
        stored(confirmation).await?;
    }
    let came = read(&topic, 0)?;
    let once = first_occurrences(&came);
    figure(&format!(
        "given up after {resume} of {} were confirmed; sent again from there: {} came twice",
        COUNT / 2,
        came.len() - once.len()
    ));
    assert_eq!(once, (0..COUNT).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_time_out_are_overtaken_by_later_ones() -> Result<()> {
    const COUNT: usize = 150_000;
    let topic = topic("timeout", 1).await?;
    // Slow on purpose: few at a time, so that those behind wait for longer than they may.
    let hasty = producer(&[
        ("message.timeout.ms", "50"),
        ("batch.num.messages", "10"),
        ("max.in.flight.requests.per.connection", "1"),
    ])?;
    let mut confirmations = Vec::new();
    for number in 0..COUNT {
        confirmations.push(send(&hasty, &topic, 0, number.to_string().as_bytes()).await?);
    }
    let taken: Vec<_> = join_all(confirmations.into_iter().map(stored)).await.iter().map(Result::is_ok).collect();
    let failed = taken.iter().filter(|taken| !**taken).count();
    let overtaken =
        taken.iter().position(|taken| !taken).map_or(0, |first| taken[first..].iter().filter(|t| **t).count());
    figure(&format!(
        "{failed} of {COUNT} timed out; {overtaken} later ones were stored although an earlier one had failed"
    ));
    assert!(failed > 0 && overtaken > 0, "nothing timed out, or the client held everything back");
    Ok(())
}
