//! What other services hear of orders, and three of them: mails, figures by day, and a trail of everything.
//!
//! ```text
//! orders ──feed──▶ topic shop-orders ──▶ notification   a mail for each confirmed order, under a stable operation id
//!                                    ──▶ analytics      orders and money by day, exactly once
//!                                    ──▶ audit          every message, appended to a stream of its own, exactly once
//! ```
//!
//! Events of orders are the shop's own business. What others hear is a contract of its own ([`ShopEvent`]), made by one
//! explicit mapping. It is published behind the decision and not with it, by a follower whose progress is a message, too:
//! the new place, what is published, and the acknowledgement of the old place are one append. So nothing is lost or
//! published twice, whatever crashes when, and no command waits for the broker.

mod analytics;
mod audit;
mod feed;
mod integration;
mod notification;

use std::time::Duration;

use mainspring::{
    Retry, Store, Subscription, Subscriptions,
    broker::{Filter, Order},
    messaging::FromRef,
};

pub(crate) use analytics::{Sales, sales};
pub(crate) use audit::trail;
pub(crate) use feed::{Stop, begin, fed};
pub use integration::{OrderConfirmed, OrderWithdrawn, ShopEvent};
pub(crate) use notification::MailService;

/// The topic of everything that others hear.
pub const TOPIC: &str = "shop-orders";

/// The group that sends mails.
pub const NOTIFICATION: &str = "notification";

/// The group that adds up by day.
pub const ANALYTICS: &str = "analytics";

/// The group that keeps everything.
pub const AUDIT: &str = "audit";

/// So many messages are handled together, and are waited for so long.
const TOGETHER: (usize, Duration) = (2_000, Duration::from_millis(50));

/// What the handlers share.
#[derive(Clone, FromRef)]
pub(crate) struct Services {
    pub(crate) store: Store,
    pub(crate) mails: MailService,
    pub(crate) stop: Stop,
}

/// Every handler of the shop.
pub(crate) fn subscriptions(services: Services) -> Subscriptions<Services> {
    let (messages, within) = TOGETHER;
    // Neither sums nor mails depend on the order, and one batch at a time keeps the trail in that of the topic.
    let on = |group| {
        let on = Subscription::new(TOPIC, group).order(Order::Unordered);
        on.concurrency(1).batches(messages, within)
    };
    let only = |of: &str| Filter::Direct(of.to_owned());
    // The service that sends mails says no for a moment; three tries in all are enough for the demo to show it.
    let notification = on(NOTIFICATION).filter(only(integration::CONFIRMED)).retry(Retry::times(2));
    let analytics = on(ANALYTICS).filter(only(integration::CONFIRMED)).and(TOPIC, only(integration::WITHDRAWN));
    Subscriptions::new(services)
        .on(feed::subscription(), feed::feed)
        .on(notification, notification::notify)
        .on(analytics, analytics::count)
        .on(on(AUDIT), audit::keep)
}
