//! Routing: which messages of a topic a group gets, in four ways.
use std::collections::BTreeMap;

use mainspring::{
    App, Delivered, Event, Failure, State, Subscription, Subscriptions,
    broker::{Filter, Require},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
struct OrderMoved {
    order: u64,
}

type Seen = mpsc::Sender<(&'static str, u64)>;

async fn everything(moved: Delivered<OrderMoved>, State(seen): State<Seen>) -> Result<(), Failure> {
    Ok(seen.send(("all", moved.event.order)).await?)
}

async fn exactly(moved: Delivered<OrderMoved>, State(seen): State<Seen>) -> Result<(), Failure> {
    Ok(seen.send(("direct", moved.event.order)).await?)
}

async fn by_pattern(moved: Delivered<OrderMoved>, State(seen): State<Seen>) -> Result<(), Failure> {
    Ok(seen.send(("pattern", moved.event.order)).await?)
}

async fn by_headers(moved: Delivered<OrderMoved>, State(seen): State<Seen>) -> Result<(), Failure> {
    Ok(seen.send(("headers", moved.event.order)).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (seen, mut sees) = mpsc::channel(16);
    let mut app = App::open("memory:").await?;
    let gold = vec![("level".to_owned(), "gold".into()), ("level".to_owned(), "platinum".into())];
    let on = |group: &str, filter| Subscription::new("orders", group).filter(filter);
    let handlers = Subscriptions::new(seen)
        .on(on("all", Filter::All), everything)
        .on(on("direct", Filter::Direct("order.paid.eu".to_owned())), exactly)
        .on(on("pattern", Filter::Pattern("order.*.eu.#".parse()?)), by_pattern)
        .on(on("headers", Filter::Headers { require: Require::Any, headers: gold }), by_headers);
    app.subscribe(handlers).await?;
    let publisher = app.publisher().await?;
    app.run_until(async {
        let moved = |order| publisher.publish("orders", &OrderMoved { order });
        moved(1).routed_by("order.placed.eu").await?;
        moved(2).routed_by("order.paid.eu").header("level", "gold").await?;
        moved(3).routed_by("order.paid.us").await?;
        moved(4).routed_by("order.paid.eu.berlin").header("level", "silver").await?;
        let mut by_group = BTreeMap::<_, Vec<_>>::new();
        for _ in 0..9 {
            let (group, order) = sees.recv().await.expect("handlers run as long as the application");
            by_group.entry(group).or_default().push(order);
        }
        for (group, mut orders) in by_group {
            orders.sort_unstable();
            println!("{group}: {orders:?}");
        }
        Ok(())
    })
    .await?
}
