//! Words that errors keep for ever: they are `&'static str`, so each different one that comes over the wire is kept
//! once, and no more of them than there can reasonably be.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use super::{Garbled, Reader, Wire, write_blob};

/// Brokers have about a dozen limits; whoever sends more names than this is not believed.
const MAX_WORDS: usize = 256;

/// Longer ones are not kept.
const MAX_LENGTH: usize = 200;

static WORDS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

impl Wire for &'static str {
    fn write(&self, out: &mut Vec<u8>) {
        write_blob(out, self.as_bytes());
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Ok(keep(String::read(from)?))
    }
}

fn keep(word: String) -> &'static str {
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(word.as_str()) {
        return known;
    }
    if words.len() >= MAX_WORDS || word.len() > MAX_LENGTH {
        return "a limit of the broker";
    }
    let kept: &'static str = word.leak();
    words.insert(kept);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_once() {
        let (first, second) = (keep("a priority".to_owned()), keep("a priority".to_owned()));
        assert!(std::ptr::eq(first, second));
        assert_eq!(keep("x".repeat(MAX_LENGTH + 1)), "a limit of the broker");
    }
}
