//! Results that say nothing about a delivery.

use mainspring_messaging::{Raw, Subscription, Subscriptions};

async fn number(_: Raw) -> u32 {
    7
}

async fn wrong_error(_: Raw) -> Result<(), u32> {
    Ok(())
}

fn main() {
    let on = || Subscription::new("orders", "billing");
    let _ = Subscriptions::new(()).on(on(), number);
    let _ = Subscriptions::new(()).on(on(), wrong_error);
}
