//! Law 2: what an error of sending says is true, and nothing overtakes within a key.

use mainspring_broker::{Filter, Message, Order, SendError, Topology};

use crate::broker::{
    Backend,
    sample::{billing, bodies, filtered, keyed, order, orders, sent, text, to, with_groups},
    subject::{Subject, class},
};

/// A group that gets orders by one routing key only, so that others have no route.
fn placed_only() -> Topology {
    with_groups([filtered("billing", [Filter::Direct("placed".to_owned())]).order(Order::KeyBlocks)])
}

fn routed(orders: &[(&str, &str)]) -> Vec<Message> {
    orders.iter().flat_map(|(order, by)| keyed(&[order]).into_iter().map(|order| order.routed_by(*by))).collect()
}

/// Behind a message that failed, later ones of its key in the batch are not stored; other keys are not affected.
pub(crate) async fn nothing_is_stored_behind_a_failed_message_of_its_key(backend: &dyn Backend) {
    let subject = Subject::with(backend, &placed_only()).await;
    let batch = [("a:1", "placed"), ("a:2", "nowhere"), ("b:1", "placed"), ("a:3", "placed"), ("b:2", "placed")];
    let answers = subject.answers(routed(&batch)).await;
    if subject.can().await.gapless {
        let classes: Vec<_> = answers.iter().map(|answer| answer.as_ref().map_or_else(class, |_| "stored")).collect();
        assert_eq!(classes, ["stored", "Unroutable", "stored", "NotAttempted", "stored"]);
    }
    let stored: Vec<_> = batch.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).collect();
    let mut member = subject.member().await;
    let mut delivered = member.handle(stored.len()).await;
    delivered.sort();
    let mut expected: Vec<_> = stored.iter().map(|((body, _), _)| *body).collect();
    expected.sort_unstable();
    assert_eq!(delivered, expected);
    member.gets_nothing().await;
}

/// Once what failed is sent again, its key is complete and in order.
pub(crate) async fn a_key_that_is_sent_again_is_complete_and_in_order(backend: &dyn Backend) {
    let subject = Subject::with(backend, &placed_only()).await;
    if !subject.can().await.gapless {
        return;
    }
    let answers = subject.answers(routed(&[("a:1", "placed"), ("a:2", "nowhere"), ("a:3", "placed")])).await;
    let mut again = routed(&[("a:1", "placed"), ("a:2", "placed"), ("a:3", "placed")]);
    let mut failed = answers.iter().map(Result::is_err);
    again.retain(|_| failed.next() == Some(true));
    subject.stored(again).await;
    assert_eq!(subject.member().await.handle(3).await, ["a:1", "a:2", "a:3"]);
}

/// Every error but `Unknown` means that the message is nowhere.
pub(crate) async fn what_failed_is_nowhere(backend: &dyn Backend) {
    let subject = Subject::with(backend, &placed_only()).await;
    let limits = subject.limits().await;
    let large = Message { body: vec![b'x'; limits.message_bytes + 1].into(), ..order("") };
    let hopeless =
        [order("1"), large.routed_by("placed"), order("2").routed_by("place"), Message::new(to("gone"), "3")];
    for message in hopeless {
        let error = subject.refused(message).await;
        assert!(!matches!(error, SendError::Unknown(_)), "a refusal is no failure: {error:?}");
    }
    subject.stored([order("last").routed_by("placed")]).await;
    let mut member = subject.member().await;
    assert_eq!(member.handle(1).await, ["last"]);
    member.gets_nothing().await;
}

/// A batch keeps its order within a key.
pub(crate) async fn a_batch_keeps_its_order(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing().order(Order::KeyBlocks)])).await;
    let batch: Vec<_> = orders(200).into_iter().map(|order| order.key("a")).collect();
    subject.stored(batch.clone()).await;
    assert_eq!(subject.member().await.handle(200).await, sent(&batch));
}

/// A send that begins after another was admitted follows it, whenever they are confirmed.
pub(crate) async fn a_send_begun_after_admission_follows(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing().order(Order::KeyBlocks)])).await;
    let mut confirmations = Vec::new();
    for number in 0..40 {
        let message = order(&number.to_string()).key("a");
        confirmations.push(subject.send(vec![message]).await.expect("the message is admitted"));
    }
    for admitted in confirmations.into_iter().rev() {
        assert!(subject.within(admitted, "a confirmation").await.iter().all(Result::is_ok));
    }
    let handled = subject.member().await.handle(40).await;
    assert_eq!(handled, (0..40).map(|number| number.to_string()).collect::<Vec<_>>());
}

/// Whoever does not wait for confirmations has sent all the same.
pub(crate) async fn dropped_confirmations_take_nothing_back(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    drop(subject.send(vec![order("a")]).await.expect("the message is admitted"));
    subject.stored([order("b")]).await;
    let mut delivered = bodies(&subject.member().await.take(2).await);
    delivered.sort();
    assert_eq!(delivered, ["a", "b"]);
}

/// A broker that was closed attempts nothing, and says so.
pub(crate) async fn a_closed_broker_attempts_nothing(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    for _ in 0..2 {
        subject.broker.close(subject.deadline()).await.expect("closing twice changes nothing");
    }
    let error = subject.refused(order("late")).await;
    assert!(matches!(error, SendError::NotAttempted(_)), "{error:?}");
}

/// An empty batch has nothing to confirm.
pub(crate) async fn an_empty_batch_is_confirmed_at_once(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    assert_eq!(subject.answers([]).await.len(), 0);
    subject.stored([order("a")]).await;
    assert_eq!(text(&subject.member().await.one().await.message.body), "a");
}
