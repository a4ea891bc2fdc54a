//! Dead letters: what cannot be handled is kept with its reason, and goes again when the cause is mended.
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::Context;
use mainspring::{
    Advise, App, Delivered, Event, Failure, Retry, Subscription, Subscriptions,
    broker::DeadLetter,
    messaging::{FromRef, State},
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
struct InvoiceAsked {
    order: u64,
}

#[derive(Clone, FromRef)]
struct Services {
    mended: Arc<AtomicBool>,
    done: mpsc::Sender<u64>,
}

async fn bill(
    asked: Delivered<InvoiceAsked>,
    State(mended): State<Arc<AtomicBool>>,
    State(done): State<mpsc::Sender<u64>>,
) -> Result<(), Failure> {
    match asked.event.order {
        13 if !mended.load(Ordering::Relaxed) => return Err("the printer is on fire".into()), // by schedule, then dead
        0 => Err("there is no order 0").permanent()?, // no second look helps: dead at once
        _ => {}
    }
    Ok(done.send(asked.event.order).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (mended, (done, mut billed)) = (Arc::new(AtomicBool::new(false)), mpsc::channel(16));
    let mut app = App::open("memory:").await?;
    let on = Subscription::new("invoices", "billing").retry(Retry::times(2)); // its dead letters: `billing.dead`
    app.subscribe(Subscriptions::new(Services { mended: mended.clone(), done }).on(on, bill)).await?;
    let (publisher, broker) = (app.publisher().await?, app.broker().await?.clone());
    app.run_until(async {
        for order in [13, 0, 17] {
            publisher.publish("invoices", &InvoiceAsked { order }).await?;
        }
        let (admin, keeper) =
            (broker.admin().context("the embedded broker answers operators")?, "billing.dead".parse()?);
        let (mut letters, mut looks) = (Vec::new(), tokio::time::interval(std::time::Duration::from_millis(2)));
        while letters.len() < 2 {
            looks.tick().await;
            letters = admin.browse(&keeper, 10).await?;
        }
        let mut lines = Vec::new();
        for pending in letters {
            let letter = DeadLetter::read(&pending.message).context("what lies here was given up")?;
            let DeadLetter { reason, attempts, .. } = &letter;
            lines.push(format!("{} gave up after {attempts} attempts: {reason}", letter.group));
            if reason.contains("fire") {
                mended.store(true, Ordering::Relaxed);
                let place = pending.place.context("the embedded broker knows places")?;
                admin.resubmit(&keeper, &place, letter.again()).await?; // removed and sent again: both or neither
            }
        }
        lines.sort();
        lines.iter().for_each(|line| println!("{line}"));
        let mut all = [billed.recv().await, billed.recv().await];
        all.sort();
        println!("billed: {all:?}; {} left", admin.browse(&keeper, 10).await?.len());
        Ok(())
    })
    .await?
}
