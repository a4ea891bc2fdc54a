//! Arguments that cannot be made from a delivery.

use mainspring_messaging::{Delivered, Raw, State, Subscription, Subscriptions};

#[derive(Clone)]
struct Services;

struct Plain;

async fn plain_argument(_: Plain) {}
async fn no_event(_: Delivered<Plain>) {}
async fn no_such_state(_: State<String>) {}
async fn no_arguments() {}
fn not_async(_: Raw) {}

fn main() {
    let on = || Subscription::new("orders", "billing");
    let subscriptions = Subscriptions::new(Services);
    let _ = subscriptions.on(on(), plain_argument);
    let _ = Subscriptions::new(Services).on(on(), no_event);
    let _ = Subscriptions::new(Services).on(on(), no_such_state);
    let _ = Subscriptions::new(Services).on(on(), no_arguments);
    let _ = Subscriptions::new(Services).on(on(), not_async);
}
