//! A queue: workers share the messages of one group, and those of one key are handled one after the other, whatever fails.
use std::collections::BTreeMap;

use mainspring::{App, Delivered, Event, Failure, Retry, State, Subscription, Subscriptions};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
struct ParcelStep {
    parcel: char,
    step: u32,
}

async fn carry(asked: Delivered<ParcelStep>, State(done): State<mpsc::Sender<(char, u32)>>) -> Result<(), Failure> {
    let attempt = asked.attempt();
    let ParcelStep { parcel, step } = asked.event;
    if (parcel, step, attempt) == ('a', 1, 1) {
        return Err("the van has a flat tyre".into()); // parcel a waits for its next attempt, parcels b and c go on
    }
    done.send((parcel, step)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (done, mut carried) = mpsc::channel(16);
    let mut app = App::open("memory:").await?;
    let van = Subscription::new("parcels", "vans").concurrency(4).retry(Retry::times(3));
    let controls = app.subscribe(Subscriptions::new(done).on(van, carry)).await?;
    let publisher = app.publisher().await?;
    app.run_until(async {
        for step in 1..=3 {
            for parcel in ['a', 'b', 'c'] {
                publisher.publish("parcels", &ParcelStep { parcel, step }).key(parcel).await?;
            }
        }
        let mut steps = BTreeMap::<_, Vec<_>>::new();
        for _ in 0..9 {
            let (parcel, step) = carried.recv().await.expect("handlers run as long as the application");
            steps.entry(parcel).or_default().push(step);
        }
        for (parcel, steps) in steps {
            assert_eq!(steps, [1, 2, 3], "one message of a key at a time, in the order of publishing");
            println!("parcel {parcel}: steps {steps:?}");
        }
        let failed: u64 = controls.metrics()[0].events.values().map(|of_type| of_type.failed).sum();
        println!("{failed} attempt failed");
        Ok(())
    })
    .await?
}
