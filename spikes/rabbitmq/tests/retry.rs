//! Can a failed message and all later ones of its key be moved to a parking place in order, each copy confirmed before
//! the original is acknowledged, with a crash between the two?

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::Result;
use lapin::{Channel, message::Delivery, options::BasicAckOptions};
use spike_driver::{Network, figure, first_occurrences};
use spike_rabbitmq::{broker, channel, connect, consume, drain, fill, number, publish, quorum, stored};

const COUNT: usize = 60;
const KEYS: usize = 3;
const QUIET: Duration = Duration::from_millis(500);

/// Key 0 fails with its third message.
fn fails(number: usize) -> bool {
    number == 2 * KEYS
}

/// What one life of a member does: parks or handles what it has, and crashes before the acknowledgement of one copy.
struct Life<'a> {
    main: &'a str,
    parking: &'a str,
    parked: BTreeSet<usize>,
    crash_after: Option<usize>,
    /// Whether what was handled is acknowledged before anything later is copied, or with its batch.
    settles_first: bool,
}

impl Life<'_> {
    /// Handles what is there; answers what it handled, in order.
    async fn live(&mut self, channel: &Channel) -> Result<Vec<usize>> {
        let mut consumer = consume(channel, self.main, 20).await?;
        let (mut handled, mut copies) = (Vec::new(), 0);
        loop {
            let batch = drain(&mut consumer, QUIET).await?;
            if batch.is_empty() {
                return Ok(handled);
            }
            let mut unsettled: Vec<Delivery> = Vec::new();
            for delivery in batch {
                let number = number(&delivery)?;
                let key = number % KEYS;
                if fails(number) || self.parked.contains(&key) {
                    self.parked.insert(key);
                    // The same channel: the broker takes acknowledgements and copies in the order in which they were
                    // sent, so the confirmation of the copy is one of the acknowledgements before it.
                    stored(publish(channel, self.parking, &delivery.data).await?).await?;
                    copies += 1;
                    if self.crash_after == Some(copies) {
                        return Ok(handled);
                    }
                    unsettled.push(delivery);
                } else {
                    handled.push(number);
                    if self.settles_first {
                        delivery.ack(BasicAckOptions::default()).await?;
                    } else {
                        unsettled.push(delivery);
                    }
                }
            }
            for delivery in unsettled {
                delivery.ack(BasicAckOptions::default()).await?;
            }
        }
    }
}

/// What two lives with a crash between them leave.
struct Left {
    handled: Vec<usize>,
    /// What the second life found parked when it began.
    found: Vec<usize>,
    parked: Vec<usize>,
}

async fn two_lives(settles_first: bool) -> Result<Left> {
    let broker = broker()?;
    let connection = connect(&broker).await?;
    let own = channel(&connection).await?;
    let (main, parking) = (quorum(&own, "main", &[]).await?, quorum(&own, "parking", &[]).await?);
    fill(&own, &main, 0..COUNT).await?;

    let network = Network::to(&broker).await?;
    let doomed = connect(network.address()).await?;
    let (main, parking) = (main.as_str(), parking.as_str());
    let mut life = Life { main, parking, parked: BTreeSet::new(), crash_after: Some(3), settles_first };
    let mut handled = life.live(&channel(&doomed).await?).await?;
    network.cut().await?;

    // The next member learns from the parking place which keys are parked, before it takes anything.
    let looking = channel(&connection).await?;
    let mut consumer = consume(&looking, parking, 1_000).await?;
    let found = drain(&mut consumer, QUIET).await?.iter().map(number).collect::<Result<Vec<_>>>()?;
    looking.close(200, "".into()).await?;
    let parked = found.iter().map(|number| number % KEYS).collect();
    let mut life = Life { main, parking, parked, crash_after: None, settles_first };
    handled.extend(life.live(&channel(&connection).await?).await?);

    let mut consumer = consume(&own, parking, 1_000).await?;
    let parked = drain(&mut consumer, QUIET).await?.iter().map(number).collect::<Result<Vec<_>>>()?;
    let once = first_occurrences(&parked).len();
    figure(&format!(
        "handled {} first: {} copies before the crash; then {} in the parking place, {} of them twice; {} handled twice",
        if settles_first { "and acknowledged" } else { "but not acknowledged" },
        found.len(),
        parked.len(),
        parked.len() - once,
        handled.len() - first_occurrences(&handled).len()
    ));
    Ok(Left { handled, found, parked })
}

/// The failed message and all later ones of its key.
fn expected() -> Vec<usize> {
    (0..COUNT).filter(|number| number % KEYS == 0 && *number >= 2 * KEYS).collect()
}

#[tokio::test]
async fn a_key_is_parked_in_order_across_a_crash_between_copy_and_acknowledgement() -> Result<()> {
    let left = two_lives(true).await?;
    assert_eq!(left.found.len(), 3);
    let once = first_occurrences(&left.parked);
    assert!(left.parked.len() > once.len(), "a copy that was not acknowledged has to come twice");
    assert_eq!(once, expected(), "the parked key is complete and in order");
    let mut by_key = BTreeMap::<_, Vec<_>>::new();
    for number in first_occurrences(&left.handled) {
        by_key.entry(number % KEYS).or_default().push(number);
    }
    for (key, numbers) in by_key {
        let rest: Vec<_> = (0..COUNT).filter(|number| number % KEYS == key && !once.contains(number)).collect();
        assert_eq!(numbers, rest, "key {key}");
    }
    Ok(())
}

#[tokio::test]
async fn what_was_handled_but_not_acknowledged_before_the_copy_is_parked_behind_it() -> Result<()> {
    let left = two_lives(false).await?;
    let once = first_occurrences(&left.parked);
    assert_ne!(once, expected(), "the order of settlements and copies does not matter after all");
    let earlier: Vec<_> = once.iter().copied().filter(|number| *number < 2 * KEYS).collect();
    assert_eq!(earlier, [0, KEYS], "they come again, behind what failed after them");
    assert!(expected().iter().all(|number| once.contains(number)), "nothing is lost");
    Ok(())
}
