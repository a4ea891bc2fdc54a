//! What compiles; it makes the others be built and not only checked, because that is when constants are looked at.

use mainspring_messaging::{Context, Delivered, FromDelivery, Rejection, Subscription, Subscriptions};

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

async fn one_transaction(_: Tx, _: Delivered<Placed>) {}

fn main() {
    let _ = Subscriptions::new(()).on(Subscription::new("orders", "billing"), one_transaction);
}
