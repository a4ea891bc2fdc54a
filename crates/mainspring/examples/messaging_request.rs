//! Request and reply: the answer of a handler comes back to whoever asked, or does not come in time.
use std::time::Duration;

use mainspring::{App, Delivered, Event, Reply, Subscription, Subscriptions, messaging::RequestError};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
struct PriceAsked {
    article: String,
}

#[derive(Serialize, Deserialize, Event)]
struct PriceQuoted {
    cents: i64,
}

async fn quote(asked: Delivered<PriceAsked>) -> Reply<PriceQuoted> {
    Reply(PriceQuoted { cents: 100 * asked.event.article.len() as i64 })
}

/// Nobody answers: a handler without a reply.
async fn ignore(_: Delivered<PriceAsked>) {}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut app = App::open("memory:").await?;
    let handlers = Subscriptions::new(())
        .on(Subscription::new("prices", "quotes"), quote)
        .on(Subscription::new("nowhere", "silence"), ignore);
    app.subscribe(handlers).await?;
    let requester = app.requester("checkout", "1").await?; // the second word tells this process from others
    app.run_until(async {
        let question = PriceAsked { article: "compact disc".to_owned() };
        let answer = requester.request::<PriceQuoted>("prices", &question).await?;
        println!("it costs {} cents", answer.event.cents);

        let unanswered = requester.request::<PriceQuoted>("nowhere", &question).within(Duration::from_millis(50)).await;
        match unanswered {
            Err(RequestError::Unknown { .. }) => println!("no answer in time: it may have been handled, or not"),
            other => anyhow::bail!("nobody was there to answer: {:?}", other.map(|answer| answer.event.cents)),
        }
        Ok(())
    })
    .await?
}
