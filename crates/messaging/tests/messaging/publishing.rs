//! What publishers send, and what it comes from.

use std::{sync::Arc, time::Duration};

use mainspring_broker::{Broker, Ensure, MemoryBroker, SendError, Topic, Topology};
use mainspring_event::{EventId, TraceContext};
use mainspring_messaging::{Delivered, PublishError, Publisher, Subscription, Subscriptions};
use mainspring_retry::Failure;
use tokio::sync::mpsc;

use super::support::{Placed, Shipped, World, in_time};
use mainspring_messaging::State;

#[tokio::test]
async fn what_a_handler_publishes_belongs_to_the_conversation_and_the_trace_of_its_delivery() {
    async fn ship(placed: Delivered<Placed>, publisher: Publisher) -> Result<(), Failure> {
        publisher.publish("parcels", &Shipped { order: placed.event.order }).key(placed.event.order).await?;
        Ok(())
    }
    async fn note(shipped: Delivered<Shipped>, State(seen): State<mpsc::UnboundedSender<Delivered<Shipped>>>) {
        seen.send(shipped).unwrap();
    }
    let world = World::new();
    let (seen, mut parcels) = mpsc::unbounded_channel();
    let subscriptions = Subscriptions::new(())
        .on(Subscription::new("orders", "shipping"), ship)
        .merge(Subscriptions::new(seen).on(Subscription::new("parcels", "notes"), note));
    let trace = TraceContext { traceparent: "00-a-b-01".to_owned(), tracestate: None };
    let (conversation, mut placed) = (EventId::new(), None);
    let work = async |_| {
        let publish = world.publisher.publish("orders", &Placed { order: 17 }).with(|message| {
            let envelope = message.envelope.as_mut().unwrap();
            envelope.metadata.correlation = Some(conversation);
            envelope.metadata.trace = Some(trace.clone());
            placed = Some(envelope.id);
        });
        publish.await.unwrap();
        in_time(parcels.recv()).await.unwrap()
    };
    let shipped = world.run(subscriptions, work).await;
    let metadata = shipped.metadata().unwrap();
    assert_eq!((metadata.correlation, metadata.causation), (Some(conversation), placed));
    assert_eq!(metadata.trace, Some(trace));
    assert_eq!((shipped.key().unwrap(), shipped.event.order), (&"17".into(), 17));
}

#[tokio::test]
async fn options_are_those_of_the_message() {
    let publisher = Publisher::new(Arc::new(MemoryBroker::new()));
    let publish = publisher.publish("orders", &Placed { order: 17 }).key(17).priority(3).routed_by("order.placed.eu");
    let publish = publish.delay(Duration::from_secs(1)).expires_after(Duration::from_secs(9)).header("via", "test");
    let message = publish.into_message().unwrap();
    assert_eq!((message.key.as_deref(), message.priority), (Some(&b"17"[..]), 3));
    assert_eq!(
        (message.routing_key.as_str(), message.headers.get("via").unwrap()),
        ("order.placed.eu", &"test".into())
    );
    assert_eq!((message.delay, message.expires_after), (Some(Duration::from_secs(1)), Some(Duration::from_secs(9))));
    let envelope = message.envelope.unwrap();
    assert_eq!((envelope.event_type.as_str(), envelope.stream.as_str()), ("Placed", "orders"));
}

#[tokio::test]
async fn what_is_not_stored_is_an_error() {
    let broker = MemoryBroker::new();
    let publisher = Publisher::new(Arc::new(broker.clone()));
    let error = publisher.publish("orders", &Placed { order: 17 }).await.unwrap_err();
    assert!(matches!(error, PublishError::Send(SendError::Unroutable { .. })), "{error}");
    let error = publisher.publish("or ders", &Placed { order: 17 }).await.unwrap_err();
    assert!(matches!(error, PublishError::Name(_)), "{error}");

    broker.ensure(&Topology::new().topic(Topic::log("orders".parse().unwrap(), 1)), Ensure::Create).await.unwrap();
    publisher.publish("orders", &Placed { order: 17 }).await.unwrap();
    let admitted = publisher.publish("orders", &Placed { order: 18 }).admitted().await.unwrap();
    assert_eq!(admitted.await.unwrap().place.unwrap().offset, 1);
    let samples = publisher.samples();
    assert_eq!((samples[0].name, samples[0].value), ("events_published_total", 2.0));
    broker.restart();
    let error = publisher.publish("orders", &Placed { order: 19 }).await.unwrap_err();
    assert!(matches!(error, PublishError::Send(SendError::NotAttempted(_))), "{error}");
}
