//! What does the broker do with a commit of a member that the group has expelled?

use std::time::Instant;

use anyhow::Result;
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
};
use spike_driver::{PATIENCE, figure, unique};
use spike_kafka::{commit, committed, fill, member, next, topic};

/// A member that is expelled when it does not poll for a second.
const HASTY: [(&str, &str); 3] =
    [("session.timeout.ms", "1000"), ("max.poll.interval.ms", "1000"), ("heartbeat.interval.ms", "300")];

struct Scene {
    topic: String,
    group: String,
    expelled: BaseConsumer,
    /// The member that has the partition now; it has taken everything.
    holder: BaseConsumer,
}

/// A member that took five of ten messages and then hung, and one that has got them all since.
async fn expelled() -> Result<Scene> {
    let (topic, group) = (topic("stale", 1).await?, unique("group"));
    fill(&topic, 0, 0..10).await?;
    let expelled: BaseConsumer = member(&group, &HASTY)?.create()?;
    expelled.subscribe(&[&topic])?;
    for offset in 0..5 {
        assert_eq!(next(&expelled)?.offset(), offset);
    }
    let holder: BaseConsumer = member(&group, &[])?.create()?;
    holder.subscribe(&[&topic])?;
    let begun = Instant::now();
    for offset in 0..10 {
        assert_eq!(next(&holder)?.offset(), offset, "nothing was committed, so everything comes again");
    }
    figure(&format!("its partition was with another member after {:.1} s", begun.elapsed().as_secs_f64()));
    assert!(begun.elapsed() < PATIENCE);
    Ok(Scene { topic, group, expelled, holder })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_an_expelled_member_is_refused_while_the_group_has_members() -> Result<()> {
    let Scene { topic, group, expelled, holder } = expelled().await?;
    commit(&holder, &topic, 0, 8)?;
    let answer = commit(&expelled, &topic, 0, 5);
    figure(&format!("the commit of the expelled member: {}", said(&answer)));
    assert!(answer.is_err(), "a stale commit counted");
    assert_eq!(committed(&group, &topic, 0)?, Some(8));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_an_expelled_member_is_refused_after_all_others_have_left() -> Result<()> {
    let Scene { topic, group, expelled, holder } = expelled().await?;
    commit(&holder, &topic, 0, 10)?;
    drop(holder);
    let answer = commit(&expelled, &topic, 0, 5);
    figure(&format!("the commit of the expelled member to the empty group: {}", said(&answer)));
    assert!(answer.is_err(), "a stale commit counted");
    assert_eq!(committed(&group, &topic, 0)?, Some(10));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_no_member_moves_an_empty_group_only() -> Result<()> {
    let (topic, group) = (topic("seek", 1).await?, unique("group"));
    fill(&topic, 0, 0..10).await?;
    let outsider: BaseConsumer = member(&group, &[])?.create()?;
    let holder: BaseConsumer = member(&group, &[])?.create()?;
    holder.subscribe(&[&topic])?;
    next(&holder)?;
    commit(&holder, &topic, 0, 8)?;
    let with_members = commit(&outsider, &topic, 0, 3);
    assert!(with_members.is_err(), "an outsider moved a group under its members");
    assert_eq!(committed(&group, &topic, 0)?, Some(8));
    drop(holder);
    let without = commit(&outsider, &topic, 0, 3);
    figure(&format!("an outsider's commit: with members {}; without {}", said(&with_members), said(&without)));
    assert_eq!((without.is_ok(), committed(&group, &topic, 0)?), (true, Some(3)));
    Ok(())
}

/// What came of a commit, in one line.
fn said(answer: &Result<()>) -> String {
    answer.as_ref().map_or_else(ToString::to_string, |()| "accepted".to_owned())
}
