//! Which messages of a topic a subscription gets.

use bytes::Bytes;

use crate::{Destination, Message, Pattern};

/// Binds a subscription to a topic. A message that several bindings of one subscription select is delivered to it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The topic.
    pub from: Destination,
    /// What of it.
    pub filter: Filter,
}

/// What of a topic is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Everything (fanout).
    All,
    /// Messages with exactly this routing key (direct).
    Direct(String),
    /// Messages whose routing key the pattern stands for (topic).
    Pattern(Pattern),
    /// Messages by their headers.
    Headers {
        /// How many of them must be there.
        require: Require,
        /// Names with a value, of which a message may have several under one name.
        headers: Vec<(String, Bytes)>,
    },
}

/// How many of the headers of a filter a message must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Require {
    /// Every one; of none, that is every message.
    All,
    /// At least one; of none, that is no message.
    Any,
}

impl Binding {
    /// Everything that is sent to `from`.
    pub fn all(from: Destination) -> Self {
        Self { from, filter: Filter::All }
    }

    /// Whether it selects `message`.
    pub fn selects(&self, message: &Message) -> bool {
        self.from == message.destination && self.filter.selects(message)
    }
}

impl Filter {
    /// Whether it selects `message`: the definition that every broker's routing must agree with.
    pub fn selects(&self, message: &Message) -> bool {
        match self {
            Self::All => true,
            Self::Direct(key) => *key == message.routing_key,
            Self::Pattern(pattern) => pattern.matches(&message.routing_key),
            Self::Headers { require, headers } => {
                let has = |(name, value): &(String, Bytes)| message.headers.all(name).any(|other| other == value);
                match require {
                    Require::All => headers.iter().all(has),
                    Require::Any => headers.iter().any(has),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let message = Message::new("orders".parse().unwrap(), "").routed_by("order.placed");
        message.header("kind", "order").header("region", "eu").header("region", "us")
    }

    #[track_caller]
    fn check(filter: &Filter, expected: bool) {
        assert_eq!(filter.selects(&message()), expected, "{filter:?}");
        let binding = Binding { from: "others".parse().unwrap(), filter: filter.clone() };
        assert!(!binding.selects(&message()), "a binding selects from its own topic only");
    }

    fn headers(require: Require, headers: &[(&'static str, &'static str)]) -> Filter {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from(*value)));
        Filter::Headers { require, headers: headers.collect() }
    }

    #[test]
    fn routing_is_direct_by_pattern_or_fanout() {
        check(&Filter::All, true);
        check(&Filter::Direct("order.placed".to_owned()), true);
        check(&Filter::Direct("order".to_owned()), false);
        check(&Filter::Direct("order.*".to_owned()), false);
        check(&Filter::Pattern("order.*".parse().unwrap()), true);
        check(&Filter::Pattern("*".parse().unwrap()), false);
    }

    #[test]
    fn headers_are_required_all_or_any() {
        check(&headers(Require::All, &[("kind", "order"), ("region", "us")]), true);
        check(&headers(Require::All, &[("region", "eu"), ("region", "us")]), true);
        check(&headers(Require::All, &[("kind", "order"), ("region", "cn")]), false);
        check(&headers(Require::Any, &[("kind", "payment"), ("region", "us")]), true);
        check(&headers(Require::Any, &[("kind", "payment"), ("missing", "")]), false);
        check(&headers(Require::All, &[]), true);
        check(&headers(Require::Any, &[]), false);
    }
}
