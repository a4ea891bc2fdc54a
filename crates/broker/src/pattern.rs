//! Patterns over the words of a routing key, with the meaning that AMQP 0-9-1 gives them.

use std::{fmt, str::FromStr};

/// A pattern of words parted by dots: `*` stands for exactly one word, `#` for any number of them, also for none.
///
/// An empty text has no word, and `a.` has two, of which the second is empty: that is how RabbitMQ counts
/// (`rabbit_exchange_type_topic`). A `*` or `#` inside a word stands for itself.
///
/// ```
/// use mainspring_broker::Pattern;
/// let pattern: Pattern = "order.*.#".parse()?;
/// assert!(pattern.matches("order.placed") && pattern.matches("order.placed.eu.berlin"));
/// assert!(!pattern.matches("order"));
/// # Ok::<(), mainspring_broker::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Word(String),
    One,
    Any,
}

/// The longest pattern and routing key: a short string of AMQP 0-9-1, in bytes.
pub(crate) const MAX_ROUTING_KEY: usize = 255;

/// The text cannot be a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern has at most 255 bytes, this one has {length}")]
pub struct PatternError {
    /// How many it has.
    pub length: usize,
}

impl Pattern {
    /// Whether `routing_key` is one of those it stands for.
    pub fn matches(&self, routing_key: &str) -> bool {
        let words: Vec<_> = words(routing_key).collect();
        // For each part, whether the parts before it can stand for the first so many words.
        let mut reach = vec![false; words.len() + 1];
        reach[0] = true;
        for part in &self.parts {
            let mut next = vec![false; words.len() + 1];
            for at in 0..=words.len() {
                next[at] = match part {
                    Part::Any => reach[at] || (at > 0 && next[at - 1]),
                    Part::One => at > 0 && reach[at - 1],
                    Part::Word(word) => at > 0 && reach[at - 1] && word == words[at - 1],
                };
            }
            reach = next;
        }
        reach[words.len()]
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_ROUTING_KEY {
            return Err(PatternError { length: text.len() });
        }
        let part = |word: &str| match word {
            "*" => Part::One,
            "#" => Part::Any,
            word => Part::Word(word.to_owned()),
        };
        Ok(Self { text: text.to_owned(), parts: words(text).map(part).collect() })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split('.').filter(move |_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let parsed: Pattern = pattern.parse().unwrap();
        assert_eq!(parsed.to_string(), pattern);
        for key in matching {
            assert!(parsed.matches(key), "`{pattern}` stands for `{key}`");
        }
        for key in others {
            assert!(!parsed.matches(key), "`{pattern}` does not stand for `{key}`");
        }
    }

    #[test]
    fn patterns_mean_what_amqp_says() {
        check("a.b", &["a.b"], &["", "a", "a.b.c", "a.c", "A.b"]);
        check("*", &["a", "*"], &["", "a.b"]);
        check("#", &["", "a", "a.b.c"], &[]);
        check("a.#", &["a", "a.b", "a.b.c"], &["", "ab", "b.a"]);
        check("#.a", &["a", "b.a", "c.b.a"], &["a.b"]);
        check("*.#.*", &["a.b", "a.b.c"], &["", "a"]);
        check("a.#.b.#.c", &["a.b.c", "a.x.b.c", "a.b.b.x.c"], &["a.c", "a.c.b"]);
        check("a*.b", &["a*.b"], &["ax.b"]);
        check("", &[""], &["a"]);
        check("a.*", &["a.", "a.b"], &["a"]);
    }

    #[test]
    fn a_pattern_has_a_limit() {
        assert_eq!("x".repeat(256).parse::<Pattern>(), Err(PatternError { length: 256 }));
    }

    /// The meaning, said as directly as possible.
    fn stands_for(pattern: &[&str], words: &[&str]) -> bool {
        match (pattern, words) {
            ([], words) => words.is_empty(),
            (["#", rest @ ..], words) => (0..=words.len()).any(|skip| stands_for(rest, &words[skip..])),
            (["*", rest @ ..], [_, words @ ..]) => stands_for(rest, words),
            ([word, rest @ ..], [other, words @ ..]) => word == other && stands_for(rest, words),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_meaning(
            pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "#"]), 1..6),
            key in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..6),
        ) {
            let parsed: Pattern = pattern.join(".").parse().unwrap();
            prop_assert_eq!(parsed.matches(&key.join(".")), stands_for(&pattern, &key));
        }
    }
}
