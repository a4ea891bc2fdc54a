//! Delay: a message that comes later, is kept as safely as any other, and can be taken back until it is due.
use std::time::{Duration, Instant};

use mainspring::{App, Delivered, Event, Failure, State, Subscription, Subscriptions};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
struct ReminderDue {
    order: u64,
}

const DELAY: Duration = Duration::from_millis(200);

async fn remind(due: Delivered<ReminderDue>, State(done): State<mpsc::Sender<u64>>) -> Result<(), Failure> {
    Ok(done.send(due.event.order).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (done, mut reminded) = mpsc::channel(16);
    let mut app = App::open("memory:").await?;
    app.subscribe(Subscriptions::new(done).on(Subscription::new("reminders", "mail"), remind)).await?;
    let (publisher, broker) = (app.publisher().await?, app.broker().await?.clone());
    app.run_until(async {
        let begun = Instant::now();
        publisher.publish("reminders", &ReminderDue { order: 1 }).delay(DELAY).await?;
        publisher.publish("reminders", &ReminderDue { order: 2 }).delay(Duration::from_secs(3_600)).await?;
        let admin = broker.admin().expect("the embedded broker answers operators");
        let scheduled = admin.schedules(10).await?;
        println!("{} messages are not due yet", scheduled.len());
        println!("order 2 was paid, its reminder is taken back: {}", admin.cancel(&scheduled[1].id).await?);

        println!("order {} is reminded", reminded.recv().await.unwrap_or_default());
        assert!(begun.elapsed() >= DELAY, "never before it is due");
        assert!(admin.schedules(10).await?.is_empty());
        Ok(())
    })
    .await?
}
