//! Law 1: what is confirmed is stored for every durable subscription, and what has no route is an error.

use bytes::Bytes;
use mainspring_broker::{Message, SendError, Topic, Topology};

use crate::broker::{
    Backend,
    sample::{
        ORDERS, billing, bodies, event, filtered, order, orders, sent, shipping, sorted, to, with_groups, with_log,
    },
    subject::Subject,
};

/// A confirmed message is delivered.
pub(crate) async fn a_confirmed_message_is_delivered(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a")]).await;
    let delivery = subject.member().await.one().await;
    assert_eq!((bodies([&delivery]), delivery.attempt), (vec!["a".to_owned()], 1));
}

/// Nobody has to be there when a message comes: the subscription is.
pub(crate) async fn a_group_without_members_gets_its_messages(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let batch = orders(50);
    subject.stored(batch.clone()).await;
    let delivered = subject.member().await.take(50).await;
    assert_eq!(sorted(bodies(&delivered)), sent(&batch));
}

/// Bytes, key, headers with several values, and the envelope come back as they were sent.
pub(crate) async fn every_field_comes_back_as_it_was_sent(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let bytes: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let mut full = event("{\"units\":2}").routed_by("order.placed").header("via", "a").header("kind", bytes.clone());
    full = full.header("via", "b").header("via", "a").header("empty", "");
    let all = [full, Message::new(to(ORDERS), bytes.clone()).key(bytes), order("")];
    subject.stored(all.clone()).await;
    let delivered = subject.member().await.take(3).await;
    for message in all {
        let came = delivered.iter().find(|delivery| delivery.message.body == message.body);
        assert_eq!(came.map(|delivery| &delivery.message), Some(&message));
    }
}

/// A message is known by the same id as often as it comes, where it has one or the broker gives it a place.
pub(crate) async fn a_message_keeps_its_identity(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let named = event("{}");
    subject.stored([named.clone(), order("b")]).await;
    let mut member = subject.member().await;
    let mut first = member.take(2).await;
    first.sort_by_key(|delivery| delivery.message.envelope.is_none());
    assert_eq!(first[0].id(), named.envelope.map(|envelope| envelope.id));
    for delivery in &first {
        member.retry(delivery).await;
    }
    let mut again = member.take(2).await;
    again.sort_by_key(|delivery| bodies([delivery]) != bodies([&first[0]]));
    let ids = |deliveries: &[mainspring_broker::Delivery]| deliveries.iter().map(|one| one.id()).collect::<Vec<_>>();
    assert_eq!(ids(&again), ids(&first));
}

/// A message that nobody would get is an error, and is not kept for later.
pub(crate) async fn a_message_without_route_is_an_error(backend: &dyn Backend) {
    let topology = Topology::new().topic(Topic::new(to("lonely"))).topic(Topic::new(to(ORDERS)));
    let subject = Subject::with(backend, &topology.subscription(billing())).await;
    for destination in ["lonely", "missing"] {
        let error = subject.refused(Message::new(to(destination), "lost")).await;
        let named = matches!(&error, SendError::Unroutable { destination: at, .. } if *at == to(destination));
        assert!(named, "a message to `{destination}` has no route: {error:?}");
    }
    subject.stored([order("a")]).await;
    assert_eq!(subject.member().await.handle(1).await, ["a"]);
}

/// A message that no binding selects has no route, though others of its topic have.
pub(crate) async fn a_message_that_no_binding_selects_is_an_error(backend: &dyn Backend) {
    let direct = mainspring_broker::Filter::Direct("placed".to_owned());
    let subject = Subject::with(backend, &with_groups([filtered("billing", [direct])])).await;
    let error = subject.refused(order("lost").routed_by("paid")).await;
    assert!(matches!(&error, SendError::Unroutable { routing_key, .. } if routing_key == "paid"), "{error:?}");
    subject.stored([order("a").routed_by("placed")]).await;
    assert_eq!(subject.member().await.handle(1).await, ["a"]);
}

/// A log keeps what no subscription wants, so that is a route.
pub(crate) async fn a_log_is_a_route(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(1, [])).await;
    subject.stored([order("a")]).await;
    subject.create(&with_log(1, [billing().start(mainspring_broker::Start::Earliest)])).await;
    assert_eq!(subject.member().await.handle(1).await, ["a"]);
}

/// What was confirmed before the broker was killed is there afterwards, for every subscription.
pub(crate) async fn a_confirmed_message_survives_the_broker(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    let batch = orders(20);
    subject.stored(batch.clone()).await;
    let subject = subject.reopen().await;
    for group in ["billing", "shipping"] {
        let delivered = subject.member_of(group).await.take(20).await;
        assert_eq!(sorted(bodies(&delivered)), sent(&batch), "{group} has lost messages");
    }
}

/// Within the window a second message with the same id is confirmed and not stored.
pub(crate) async fn a_duplicate_is_confirmed_and_not_stored(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let topic = Topic { dedupe: Some(subject.units(10)), ..Topic::new(to(ORDERS)) };
    subject.create(&Topology::new().topic(topic).subscription(billing())).await;
    let (once, other) = (event("{\"n\":1}"), event("{\"n\":2}"));
    subject.stored([once.clone()]).await;
    let receipts = subject.stored([once.clone(), other.clone(), other.clone()]).await;
    assert_eq!(receipts.iter().map(|receipt| receipt.duplicate).collect::<Vec<_>>(), [true, false, true]);
    let mut member = subject.member().await;
    let mut handled = member.handle(2).await;
    handled.sort();
    assert_eq!(handled, sent(&[once.clone(), other]));
    member.gets_nothing().await;
    subject.pass(11).await;
    assert!(!subject.stored([once.clone()]).await[0].duplicate, "the window is over");
    assert_eq!(member.handle(1).await, sent(&[once]));
}
