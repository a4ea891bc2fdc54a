//! What does the broker know of attempts after a process was killed, what comes again, and when?

use std::time::Instant;

use anyhow::Result;
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
};
use spike_driver::{Victim, figure, unique};
use spike_kafka::{fill, member, next, number, topic};

/// Kills a process that committed five of thirty and was handling the sixth. Answers how long its partition was nobody's.
async fn killed(name: &str) -> Result<f64> {
    let (topic, group) = (topic("killed", 1).await?, unique("group"));
    fill(&topic, 0, 0..30).await?;
    let mut victim = Victim::start(env!("CARGO_BIN_EXE_victim"), &[&topic, &group, "5", name])?;
    for expected in 0..6 {
        assert_eq!(victim.line()?, expected.to_string());
    }
    victim.kill()?;
    let begun = Instant::now();
    let settings = [("group.instance.id", name)];
    let next_life: BaseConsumer = member(&group, if name == "-" { &[] } else { &settings })?.create()?;
    next_life.subscribe(&[&topic])?;
    for expected in 5..30 {
        let message = next(&next_life)?;
        if expected == 5 {
            figure(&format!(
                "killed with 5 committed and 1 in work: the first came after {:.1} s, 25 in all; one was tried",
                begun.elapsed().as_secs_f64()
            ));
        }
        assert_eq!(number(&message)?, expected, "what was not committed comes, and in order");
        assert_eq!(message.headers().map_or(0, Headers::count), 0, "the broker says something about attempts");
        if expected == 5 {
            let nobody = begun.elapsed().as_secs_f64();
            if name != "-" {
                return Ok(nobody);
            }
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_counted_and_the_dead_are_noticed_late() -> Result<()> {
    let nobody = killed("-").await?;
    // The session lasts six seconds, and the broker knows nothing sooner.
    assert!(nobody > 2.0, "noticed after {nobody:.1} s: by something else than the end of the session");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_comes_back_by_its_name_goes_on_at_once() -> Result<()> {
    let nobody = killed("the same").await?;
    assert!(nobody < 5.0, "it waited {nobody:.1} s for its own session to end");
    Ok(())
}
