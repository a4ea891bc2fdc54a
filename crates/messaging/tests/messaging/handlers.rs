//! What handlers can take and return, without a broker.

use mainspring_broker::{Message, Outcome};
use mainspring_event::Event;
use mainspring_messaging::{
    Attempt, Delivered, FromRef, Raw, Reply, Settlement, State,
    testing::{deliver, deliver_message},
};
use mainspring_retry::{Advice, Failure};

use super::support::{Placed, Shipped};

#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
struct Services {
    name: String,
    limit: u64,
    #[from_ref(skip)]
    #[expect(dead_code, reason = "a second field of one type is left out")]
    other: u64,
}

fn services() -> Services {
    Services { name: "billing".to_owned(), limit: 3, other: 9 }
}

#[derive(Debug, Event)]
#[event(crate = mainspring_event)]
enum OrderEvent {
    Placed(Placed),
    Shipped(Shipped),
}

#[tokio::test]
async fn arguments_are_made_from_the_delivery_and_the_state_in_any_order() {
    #[expect(clippy::too_many_arguments, reason = "as many as a handler can have")]
    async fn handler(
        State(limit): State<u64>,
        raw: Raw,
        Attempt(attempt): Attempt,
        view: Delivered<OrderEvent>,
        State(name): State<String>,
        placed: Delivered<Placed>,
        State(services): State<Services>,
        again: Raw,
    ) -> Result<(), Failure> {
        assert_eq!((limit, name.as_str(), services.limit, attempt), (3, "billing", 3, 1));
        assert_eq!(raw.message(), again.message());
        assert!(matches!(view.event, OrderEvent::Placed(Placed { order: 7 })));
        assert_eq!(placed.event, Placed { order: 7 });
        assert_eq!(placed.id(), raw.id());
        Ok(())
    }
    let answer = deliver(handler, &Placed { order: 7 }, &services()).await.unwrap();
    assert!(matches!(answer, Settlement::Outcome(Outcome::Ack)));
}

#[tokio::test]
async fn what_cannot_be_decoded_is_permanent() {
    async fn handler(_: Delivered<Placed>) {}
    let failure = deliver(handler, &Shipped { order: 7 }, &()).await.unwrap_err();
    assert_eq!(failure.advice(), Advice::Never);
    assert!(failure.to_string().contains("Shipped"), "{failure}");
}

#[tokio::test]
async fn json_without_an_envelope_is_the_only_type_there_is() {
    async fn one(placed: Delivered<Placed>) {
        assert_eq!(placed.event, Placed { order: 7 });
        assert_eq!((placed.id(), placed.time(), placed.metadata()), (None, None, None));
    }
    async fn several(_: Delivered<OrderEvent>) {}
    async fn raw(raw: Raw) {
        assert_eq!(raw.message().body, "{\"order\":7}");
    }
    let message = |body: &'static str| Message::new("orders".parse().unwrap(), body);
    deliver_message(one, message("{\"order\":7}"), &()).await.unwrap();
    deliver_message(raw, message("{\"order\":7}"), &()).await.unwrap();
    let failure = deliver_message(several, message("{\"order\":7}"), &()).await.unwrap_err();
    assert_eq!(failure.advice(), Advice::Never);
    assert!(failure.to_string().contains("any of 2 event types"), "{failure}");
    assert_eq!(deliver_message(one, message("seven"), &()).await.unwrap_err().advice(), Advice::Never);
}

#[tokio::test]
async fn a_handler_answers_in_several_ways() {
    async fn retry(_: Raw) -> Outcome {
        Outcome::Release
    }
    async fn reply(placed: Delivered<Placed>) -> Result<Reply<Shipped>, Failure> {
        Ok(Reply(Shipped { order: placed.event.order }))
    }
    async fn text(_: Raw) -> Result<(), String> {
        Err("no".to_owned())
    }
    let placed = Placed { order: 7 };
    assert!(matches!(deliver(retry, &placed, &()).await, Ok(Settlement::Outcome(Outcome::Release))));
    let Ok(Settlement::Reply { event, .. }) = deliver(reply, &placed, &()).await else { panic!("a reply") };
    assert_eq!((event.event_type.as_str(), &event.payload[..]), ("Shipped", &b"{\"order\":7}"[..]));
    let failure = deliver(text, &placed, &()).await.unwrap_err();
    assert_eq!((failure.advice(), failure.to_string().as_str()), (Advice::BySchedule, "no"));
}

#[tokio::test]
async fn a_closure_is_a_handler() {
    let greeting = "hello".to_owned();
    let handler = move |State(name): State<String>| {
        let text = format!("{greeting} {name}");
        async move { if text == "hello billing" { Ok(()) } else { Err(text) } }
    };
    deliver(handler, &Placed { order: 7 }, &services()).await.unwrap();
}
