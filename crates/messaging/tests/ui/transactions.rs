//! What contradicts itself within one handler.

use mainspring_messaging::{
    Batch, Context, Delivered, FromDelivery, Raw, Rejection, Subscription, Subscriptions,
};

struct Tx;

impl<S: Sync> FromDelivery<S> for Tx {
    const TRANSACTIONS: usize = 1;

    async fn from_delivery(_: &mut Context, _: &S) -> Result<Self, Rejection> {
        Ok(Tx)
    }
}

#[derive(serde::Serialize, serde::Deserialize, mainspring_event::Event)]
#[event(crate = mainspring_event)]
struct Placed {}

async fn two_transactions(_: Tx, _: Delivered<Placed>, _: Tx) {}
async fn one_and_a_batch(_: Batch<Placed>, _: Raw) {}

fn main() {
    let on = || Subscription::new("orders", "billing");
    let _ = Subscriptions::new(()).on(on(), two_transactions);
    let _ = Subscriptions::new(()).on(on(), one_and_a_batch);
}
