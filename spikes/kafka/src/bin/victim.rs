//! A consumer that is killed: it takes what comes, commits behind the first so many, and says each number that it handled.

use std::{env, io::Write};

use anyhow::{Context, Result};
use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
};
use spike_kafka::{commit, member, next, number};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut argument = |what| arguments.next().with_context(|| format!("{what} is missing"));
    let (topic, group) = (argument("the topic")?, argument("the group")?);
    let (settled, name): (usize, _) = (argument("the count")?.parse()?, argument("the name")?);
    let settings = [("session.timeout.ms", "6000"), ("group.instance.id", name.as_str())];
    let consumer: BaseConsumer = member(&group, if name == "-" { &settings[..1] } else { &settings })?.create()?;
    consumer.subscribe(&[&topic])?;
    for handled in 0.. {
        let message = next(&consumer)?;
        if handled < settled {
            commit(&consumer, &topic, message.partition(), message.offset() + 1)?;
        }
        println!("{}", number(&message)?);
        std::io::stdout().flush()?;
        if handled == settled {
            // This one is in a handler that never comes back.
            loop {
                std::thread::park();
            }
        }
    }
    Ok(())
}
