//! Short ways to say which topics, groups and messages a law is about.

use bytes::Bytes;
use mainspring_broker::{Binding, Delivery, Destination, Filter, Group, Message, Slice, Subscription, Topic, Topology};
use mainspring_event::NewEvent;

/// Where laws send unless they say otherwise.
pub(crate) const ORDERS: &str = "orders";

/// Who gets it.
pub(crate) const BILLING: &str = "billing";

/// Where dead letters of billing go, and who reads them.
pub(crate) const DEAD: &str = "dead";

/// A named topic.
pub(crate) fn to(name: &str) -> Destination {
    name.parse().expect("laws use valid names")
}

/// A named group.
pub(crate) fn group(name: &str) -> Group {
    name.parse().expect("laws use valid names")
}

/// A slice of the orders.
pub(crate) fn slice(partition: u32) -> Slice {
    Slice { topic: to(ORDERS), partition }
}

/// An order with this body.
pub(crate) fn order(body: &str) -> Message {
    Message::new(to(ORDERS), body.to_owned())
}

/// So many orders, with their numbers as bodies.
pub(crate) fn orders(count: usize) -> Vec<Message> {
    (0..count).map(|number| order(&number.to_string())).collect()
}

/// Orders written as `key:body`.
pub(crate) fn keyed(orders: &[&str]) -> Vec<Message> {
    let keyed = |text: &&str| {
        let (key, _) = text.split_once(':').expect("laws write key:body");
        order(text).key(key.to_owned())
    };
    orders.iter().map(keyed).collect()
}

/// An order that carries an event.
pub(crate) fn event(body: &str) -> Message {
    let stream = "order-1".parse().expect("a valid name");
    Message::event(to(ORDERS), NewEvent::json(stream, "OrderPlaced".parse().expect("a valid name"), body.to_owned()))
}

/// A group that gets every order.
pub(crate) fn billing() -> Subscription {
    Subscription::new(group(BILLING), [Binding::all(to(ORDERS))])
}

/// The same by another name.
pub(crate) fn shipping() -> Subscription {
    Subscription { group: group("shipping"), ..billing() }
}

/// A group that gets what this filter selects of the orders.
pub(crate) fn filtered(name: &str, filters: impl IntoIterator<Item = Filter>) -> Subscription {
    Subscription::new(group(name), filters.into_iter().map(|filter| Binding { from: to(ORDERS), filter }))
}

/// Orders, with these groups.
pub(crate) fn with_groups(groups: impl IntoIterator<Item = Subscription>) -> Topology {
    Topology { topics: vec![Topic::new(to(ORDERS))], subscriptions: groups.into_iter().collect() }
}

/// The same, orders being a log of so many partitions.
pub(crate) fn with_log(partitions: u32, groups: impl IntoIterator<Item = Subscription>) -> Topology {
    Topology { topics: vec![Topic::log(to(ORDERS), partitions)], ..with_groups(groups) }
}

/// Orders for billing, whose dead letters a group of their own reads.
pub(crate) fn with_dead_letters(billing: Subscription) -> Topology {
    let dead = Subscription::new(group(DEAD), [Binding::all(to(DEAD))]);
    with_groups([billing.dead_letter(to(DEAD)), dead]).topic(Topic::new(to(DEAD)))
}

/// The bodies, as text.
pub(crate) fn bodies<'a>(deliveries: impl IntoIterator<Item = &'a Delivery>) -> Vec<String> {
    deliveries.into_iter().map(|delivery| text(&delivery.message.body)).collect()
}

/// The bodies of messages that are to be sent.
pub(crate) fn sent(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| text(&message.body)).collect()
}

/// The same in the order of their numbers, for groups that promise no order.
pub(crate) fn sorted(mut bodies: Vec<String>) -> Vec<String> {
    bodies.sort_by_key(|body| body.parse::<u64>().expect("laws count orders"));
    bodies
}

/// A text.
pub(crate) fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).expect("laws write text")
}
