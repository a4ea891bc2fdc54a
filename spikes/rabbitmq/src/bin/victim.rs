//! A consumer that is killed: it takes what comes, acknowledges the first so many, and says each number that it handled.

use std::{env, io::Write};

use anyhow::{Context, Result};
use lapin::options::BasicAckOptions;
use spike_rabbitmq::{channel, connect, consume, next, number};

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut argument = |what| arguments.next().with_context(|| format!("{what} is missing"));
    let (address, queue) = (argument("the address")?, argument("the queue")?);
    let (prefetch, acknowledge): (u16, usize) = (argument("the prefetch")?.parse()?, argument("the count")?.parse()?);
    let connection = connect(&address).await?;
    let channel = channel(&connection).await?;
    let mut consumer = consume(&channel, &queue, prefetch).await?;
    for handled in 0.. {
        let delivery = next(&mut consumer).await?;
        if handled < acknowledge {
            delivery.ack(BasicAckOptions::default()).await?;
        }
        println!("{}", number(&delivery)?);
        std::io::stdout().flush()?;
        if handled == acknowledge {
            // This one is in a handler that never comes back.
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}
