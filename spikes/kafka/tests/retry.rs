//! Can a failed message and all later ones of its key be moved to a parking topic in order, each copy confirmed before
//! the offset is committed, with a crash between the two? And without duplicates, in a transaction?

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, Producer},
};
use spike_driver::{PATIENCE, figure, first_occurrences, unique};
use spike_kafka::{at, commit, fill, member, next, number, producer, read, send, stored, topic};

const COUNT: usize = 60;
const KEYS: usize = 3;

/// Key 0 fails with its third message.
fn fails(number: usize) -> bool {
    number == 2 * KEYS
}

/// The failed message and all later ones of its key.
fn expected() -> Vec<usize> {
    (0..COUNT).filter(|number| number % KEYS == 0 && *number >= 2 * KEYS).collect()
}

struct Scene {
    main: String,
    parking: String,
    group: String,
}

impl Scene {
    async fn new() -> Result<Self> {
        let (main, parking) = (topic("main", 1).await?, topic("parking", 1).await?);
        fill(&main, 0, 0..COUNT).await?;
        Ok(Self { main, parking, group: unique("group") })
    }

    fn member(&self) -> Result<BaseConsumer> {
        let member: BaseConsumer = member(&self.group, &[])?.create()?;
        member.subscribe(&[&self.main])?;
        Ok(member)
    }

    /// Handles and parks; before each copy everything earlier is committed. Ends behind the copy with this number, or
    /// with the topic.
    async fn live(&self, crash_after: Option<usize>) -> Result<Vec<usize>> {
        // What is parked is learnt from the parking place, before anything is taken.
        let mut parked: BTreeSet<_> = read(&self.parking, 0)?.iter().map(|number| number % KEYS).collect();
        let (member, producer) = (self.member()?, producer(&[])?);
        let (mut handled, mut copies) = (Vec::new(), 0);
        loop {
            let message = next(&member)?;
            let number = number(&message)?;
            if fails(number) || parked.contains(&(number % KEYS)) {
                parked.insert(number % KEYS);
                commit(&member, &self.main, 0, message.offset())?;
                stored(send(&producer, &self.parking, 0, number.to_string().as_bytes()).await?).await?;
                copies += 1;
                if crash_after == Some(copies) {
                    return Ok(handled);
                }
            } else {
                handled.push(number);
            }
            if number == COUNT - 1 {
                commit(&member, &self.main, 0, message.offset() + 1)?;
                return Ok(handled);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_parked_in_order_across_a_crash_between_copy_and_commit() -> Result<()> {
    let scene = Scene::new().await?;
    let mut handled = scene.live(Some(3)).await?;
    handled.extend(scene.live(None).await?);
    let parked = read(&scene.parking, 0)?;
    let once = first_occurrences(&parked);
    figure(&format!(
        "{} in the parking place, {} of them twice; {} handled twice",
        parked.len(),
        parked.len() - once.len(),
        handled.len() - first_occurrences(&handled).len()
    ));
    assert!(parked.len() > once.len(), "a copy that was not committed has to come twice");
    assert_eq!(once, expected());
    let others: Vec<_> = (0..COUNT).filter(|number| !once.contains(number)).collect();
    assert_eq!(first_occurrences(&handled), others);
    Ok(())
}

/// A producer with a transaction of this name; whoever had it before is fenced.
fn transactional(name: &str) -> Result<FutureProducer> {
    // A transaction needs a limit; the client does not take the one without.
    let producer =
        producer(&[("transactional.id", name), ("message.timeout.ms", "30000"), ("transaction.timeout.ms", "30000")])?;
    producer.init_transactions(PATIENCE)?;
    Ok(producer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_moves_without_duplicates_and_fences_an_earlier_life() -> Result<()> {
    let scene = Scene::new().await?;
    let name = unique("transaction");
    let first = transactional(&name)?;
    let member = scene.member()?;
    first.begin_transaction()?;
    let mut copied = 0;
    // A message that outlives its member would keep it from ending.
    let offset = loop {
        let message = next(&member)?;
        if copied == 3 {
            break message.offset();
        }
        if number(&message)? % KEYS == 0 {
            stored(send(&first, &scene.parking, 0, message.payload().context("no body")?).await?).await?;
            copied += 1;
        }
    };
    let mine = member.group_metadata().context("it is a member")?;
    first.send_offsets_to_transaction(&at(&scene.main, 0, offset)?, &mine, PATIENCE)?;

    // It hangs here. Its next life takes over, and the first wakes up too late.
    let second = transactional(&name)?;
    let late = first.commit_transaction(PATIENCE);
    figure(&format!("3 copies by a life that was replaced before its commit: {late:?}"));
    assert!(late.is_err(), "a transaction of an earlier life counted");
    assert!(read(&scene.parking, 0)?.is_empty(), "a reader of committed messages sees what was taken back");
    assert_eq!(spike_kafka::committed(&scene.group, &scene.main, 0)?, None);
    drop(member);

    let member = scene.member()?;
    second.begin_transaction()?;
    let end = loop {
        let message = next(&member)?;
        let number = number(&message)?;
        if expected().contains(&number) {
            stored(send(&second, &scene.parking, 0, number.to_string().as_bytes()).await?).await?;
        }
        if number == COUNT - 1 {
            break message.offset() + 1;
        }
    };
    let mine = member.group_metadata().context("it is a member")?;
    second.send_offsets_to_transaction(&at(&scene.main, 0, end)?, &mine, PATIENCE)?;
    second.commit_transaction(PATIENCE)?;
    assert_eq!(read(&scene.parking, 0)?, expected());
    assert_eq!(spike_kafka::committed(&scene.group, &scene.main, 0)?, Some(end));
    Ok(())
}
