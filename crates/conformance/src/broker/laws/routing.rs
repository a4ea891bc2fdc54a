//! Routing: which groups get a message.

use bytes::Bytes;
use mainspring_broker::{Binding, Filter, Message, Require, Subscription, Topic};

use crate::broker::{
    Backend,
    sample::{billing, filtered, group, order, to, with_groups},
    subject::Subject,
};

/// Groups with these filters get these of the messages, in order. A group that gets everything gives all a route.
async fn check(backend: &dyn Backend, messages: Vec<Message>, groups: &[(&'static str, Vec<Filter>, &[&str])]) {
    let subscriptions = groups.iter().map(|(name, filters, _)| filtered(name, filters.clone()));
    let subject = Subject::with(backend, &with_groups(subscriptions.chain([billing()]))).await;
    subject.stored(messages).await;
    for (name, _, expected) in groups {
        let mut member = subject.member_of(name).await;
        assert_eq!(member.handle(expected.len()).await, *expected, "{name}");
        member.gets_nothing().await;
    }
}

fn by_key(keys: &[&str]) -> Vec<Message> {
    keys.iter().map(|key| order(key).routed_by(*key)).collect()
}

/// A direct binding selects exactly its routing key.
pub(crate) async fn a_direct_binding_selects_its_key(backend: &dyn Backend) {
    let direct = |key: &str| vec![Filter::Direct(key.to_owned())];
    let groups: &[(&str, _, &[&str])] =
        &[("placed", direct("order.placed"), &["order.placed"]), ("star", direct("order.*"), &["order.*"])];
    check(backend, by_key(&["order", "order.placed", "order.placed.eu", "order.*", ""]), groups).await;
}

/// `*` stands for one word, `#` for any number.
pub(crate) async fn a_pattern_selects_by_words(backend: &dyn Backend) {
    let pattern = |text: &str| vec![Filter::Pattern(text.parse().expect("laws use valid patterns"))];
    let keys = ["a", "a.b", "a.b.c", "b.c", "a.c", "ab", "A.b", "a..c"];
    let groups: &[(&str, _, &[&str])] = &[
        ("word", pattern("a.*"), &["a.b", "a.c"]),
        ("rest", pattern("a.#"), &["a", "a.b", "a.b.c", "a.c", "a..c"]),
        ("ends", pattern("#.c"), &["a.b.c", "b.c", "a.c", "a..c"]),
        ("middle", pattern("a.*.c"), &["a.b.c", "a..c"]),
        ("two", pattern("*.*"), &["a.b", "b.c", "a.c", "A.b"]),
        ("all", pattern("#"), &keys),
    ];
    check(backend, by_key(&keys), groups).await;
}

/// A binding by headers selects messages that have all of them, or any.
pub(crate) async fn headers_select_all_or_any(backend: &dyn Backend) {
    let wanted = |require| {
        let headers = [("kind", "order"), ("region", "eu")];
        let headers = headers.map(|(name, value)| (name.to_owned(), Bytes::from(value)));
        vec![Filter::Headers { require, headers: headers.into() }]
    };
    let messages = vec![
        order("both").header("kind", "order").header("region", "eu"),
        order("one").header("kind", "order"),
        order("other").header("kind", "payment").header("region", "us"),
        order("several").header("region", "us").header("region", "eu").header("kind", "order"),
        order("none"),
    ];
    let groups: &[(&str, _, &[&str])] = &[
        ("all", wanted(Require::All), &["both", "several"]),
        ("any", wanted(Require::Any), &["both", "one", "several"]),
    ];
    check(backend, messages, groups).await;
}

/// A message that several bindings of a group select comes once.
pub(crate) async fn a_message_comes_once_to_a_group(backend: &dyn Backend) {
    check(backend, vec![order("a"), order("b")], &[("twice", vec![Filter::All, Filter::All], &["a", "b"])]).await;
}

/// A group may get what several topics have.
pub(crate) async fn a_group_may_get_several_topics(backend: &dyn Backend) {
    let both = Subscription::new(group("both"), ["orders", "payments"].map(|topic| Binding::all(to(topic))));
    let payments = Subscription::new(group("payers"), [Binding::all(to("payments"))]);
    let topology = with_groups([both, payments]).topic(Topic::new(to("payments")));
    let subject = Subject::with(backend, &topology).await;
    subject.stored([order("a"), Message::new(to("payments"), "b")]).await;
    let mut handled = subject.member_of("both").await.handle(2).await;
    handled.sort();
    assert_eq!(handled, ["a", "b"]);
    let mut payers = subject.member_of("payers").await;
    assert_eq!(payers.handle(1).await, ["b"]);
    payers.gets_nothing().await;
}
