//! Can a partition be handed over in the middle of work: kept until the member has drained it, while others go on?

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::{Message, consumer::Consumer};
use spike_driver::{PATIENCE, figure, unique};
use spike_kafka::{LOOK, Patient, Told, at, commit, fill, topic};

/// A member that is assigned a partition has messages of it long before.
const SILENCE: Duration = Duration::from_secs(10);

/// The partition and offset of the next message, if one comes soon.
fn look(member: &Patient) -> Result<Option<(i32, i64)>> {
    let Some(message) = member.poll(LOOK) else { return Ok(None) };
    let message = message?;
    Ok(Some((message.partition(), message.offset())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_stays_until_its_revocation_is_answered() -> Result<()> {
    for stalls in 0..5 {
        if hand_over().await? {
            figure(&format!(
                "before this, {stalls} new members got nothing of the partition that was assigned to them"
            ));
            return Ok(());
        }
    }
    bail!("no new member gets anything")
}

/// Hands a partition over in the middle of work. Says whether its new member gets something: one in some twenty does not,
/// although the partition is assigned to it and nobody else has it; the client fetches nothing, and a seek does not wake
/// it. An adapter has to watch for that, and join anew.
async fn hand_over() -> Result<bool> {
    let (topic, group) = (topic("revoke", 2).await?, unique("group"));
    for partition in 0..2 {
        fill(&topic, partition, 0..5_000).await?;
    }
    let old = Patient::join(&group, &topic)?;
    // What it has of each partition; everything is handled but the last.
    let mut has = [None, None];
    let begun = Instant::now();
    while has.contains(&None) {
        if let Some((partition, offset)) = look(&old)? {
            has[usize::try_from(partition)?] = Some(offset);
        }
        assert!(begun.elapsed() < PATIENCE, "there is nothing in one of the partitions");
    }
    assert_eq!(old.context().next(), Some(Told::Assigned(vec![0, 1])));

    let new = Patient::join(&group, &topic)?;
    let begun = Instant::now();
    let revoked = loop {
        if let Some((partition, offset)) = look(&old)? {
            has[usize::try_from(partition)?] = Some(offset);
        }
        assert_eq!(look(&new)?, None, "the new member has messages before anything was given up");
        match old.context().next() {
            Some(Told::Revoking(partitions)) => break partitions,
            Some(told) => bail!("not a revocation: {told:?}"),
            None => assert!(begun.elapsed() < PATIENCE, "nothing is revoked"),
        }
    };
    assert_eq!(revoked.len(), 1, "cooperative: one of two is taken, the other stays");
    let revoked = revoked[0];

    // Two seconds of work on what it has of that partition.
    let (begun, mut kept, mut more) = (Instant::now(), 0, 0);
    while begun.elapsed() < Duration::from_secs(2) {
        if let Some((partition, _)) = look(&old)? {
            if partition == revoked {
                more += 1;
            } else {
                kept += 1;
            }
        }
        assert_eq!(look(&new)?, None, "the partition went before it was given up");
    }
    let next = has[usize::try_from(revoked)?].context("it had something")? + 1;
    commit(&old, &topic, revoked, next)?;
    old.incremental_unassign(&at(&topic, revoked, next)?)?;
    let begun = Instant::now();
    let first = loop {
        look(&old)?;
        if let Some(first) = look(&new)? {
            break first;
        }
        if begun.elapsed() > SILENCE {
            assert_eq!(new.assignment()?.count(), 1, "the new member has no partition");
            return Ok(false);
        }
    };
    figure(&format!(
        "unanswered for 2 s: {kept} came from the kept partition, {more} from the revoked one, none to the new member; \
         answered, the new member had its first after {:.0} ms, at offset {} where {next} was committed",
        begun.elapsed().as_secs_f64() * 1e3,
        first.1
    ));
    assert_eq!((kept, more), (0, 0), "the client goes on with what it keeps, or with what it is to give up");
    assert_eq!(first, (revoked, next), "nothing is lost and nothing comes twice");
    Ok(true)
}
