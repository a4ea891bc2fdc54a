//! A stream: a topic that is a log, which every group reads at its own pace, from the beginning if it wants.
use mainspring::{
    App, Delivered, Event, Failure, State, Subscription, Subscriptions,
    broker::{Ensure, Start, Topic, Topology},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
struct Measured {
    sensor: String,
    celsius: i32,
}

async fn watch(measured: Delivered<Measured>, State(seen): State<mpsc::Sender<i32>>) -> Result<(), Failure> {
    seen.send(measured.event.celsius).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut app = App::open("memory:").await?;
    let log = Topology::new().topic(Topic::log("measurements".parse()?, 2)); // two partitions, kept without limit
    app.broker().await?.ensure(&log, Ensure::Create).await?;
    let publisher = app.publisher().await?;
    for celsius in [19, 20, 21] {
        let measured = Measured { sensor: "cellar".to_owned(), celsius };
        publisher.publish("measurements", &measured).key(&measured.sensor).await?; // a key stays in its partition
    }

    // Nobody was there when they were sent. Groups that begin at the earliest get them all the same, each for itself.
    let (average, mut for_average) = mpsc::channel(16);
    let (alarm, mut for_alarm) = mpsc::channel(16);
    let on = |group: &str| Subscription::new("measurements", group).start(Start::Earliest);
    let handlers = Subscriptions::new(average).on(on("average"), watch);
    app.subscribe(handlers.merge(Subscriptions::new(alarm).on(on("alarm"), watch))).await?;
    app.run_until(async {
        publisher.publish("measurements", &Measured { sensor: "cellar".to_owned(), celsius: 22 }).key("cellar").await?;
        for (group, seen) in [("average", &mut for_average), ("alarm", &mut for_alarm)] {
            let mut all = Vec::new();
            while all.len() < 4 {
                all.extend(seen.recv().await);
            }
            println!("{group} has read {all:?}");
        }
        Ok(())
    })
    .await?
}
