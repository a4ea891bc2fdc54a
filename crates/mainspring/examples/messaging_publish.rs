//! Publish and subscribe: every group gets every message.
use mainspring::{App, Delivered, Event, Failure, State, Subscription, Subscriptions};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
struct OrderConfirmed {
    order: u64,
    email: String,
}

type Said = mpsc::Sender<String>;

async fn notify(confirmed: Delivered<OrderConfirmed>, State(said): State<Said>) -> Result<(), Failure> {
    let OrderConfirmed { order, email } = confirmed.event;
    said.send(format!("notify {email} of order {order}")).await?;
    Ok(()) // acknowledged; an error would mean "try again by schedule, and then a dead letter"
}

async fn pack(confirmed: Delivered<OrderConfirmed>, State(said): State<Said>) -> Result<(), Failure> {
    said.send(format!("pack order {}", confirmed.event.order)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (said, mut hears) = mpsc::channel(16);
    let mut app = App::open("memory:").await?; // with `disk:./data`, what is published survives the process
    let handlers = Subscriptions::new(said)
        .on(Subscription::new("orders", "notification"), notify)
        .on(Subscription::new("orders", "warehouse"), pack);
    app.subscribe(handlers).await?; // creates the topic and the groups: what is published from now on is theirs
    let publisher = app.publisher().await?;
    app.run_until(async {
        let confirmed = OrderConfirmed { order: 17, email: "ada@example.org".to_owned() };
        publisher.publish("orders", &confirmed).key(confirmed.order).await?; // stored once it is answered
        let mut both = [hears.recv().await, hears.recv().await];
        both.sort();
        for done in both.into_iter().flatten() {
            println!("{done}");
        }
        Ok(())
    })
    .await?
}
