//! The hashes by which the directory finds segments. They are part of the format.

use mainspring_event::EventId;

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
const SEED: u64 = 0xd6e8_feb8_6659_fd93;

/// What a section of a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Stream,
    Tag,
    /// Event ids that are not time-ordered.
    Id,
}

impl Topic {
    pub(super) const ALL: [Self; 3] = [Self::Stream, Self::Tag, Self::Id];
}

/// Something that segments hold or lack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(super) topic: Topic,
    pub(super) hash: u64,
}

impl Key {
    pub(crate) fn stream(name: &str) -> Self {
        Self { topic: Topic::Stream, hash: hash(name.as_bytes()) }
    }

    pub(crate) fn tag(name: &str) -> Self {
        Self { topic: Topic::Tag, hash: hash(name.as_bytes()) }
    }

    pub(crate) fn id(id: EventId) -> Self {
        Self { topic: Topic::Id, hash: hash(&id.to_bytes()) }
    }
}

/// A hash that spreads evenly over all numbers, the upper bits included: runs are searched by interpolation.
///
/// Two checksums with different seeds would not do: of texts of one length, equal CRCs stay equal under any seed.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = fold(hash ^ u64::from_le_bytes(word));
    }
    fold(hash ^ SEED)
}

/// The lower half of the product, mixed with the upper one.
fn fold(value: u64) -> u64 {
    let product = u128::from(value) * u128::from(MULTIPLIER);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values: a change of the hash is a change of the format.
    #[test]
    fn the_hash_is_part_of_the_format() {
        let hashes =
            ["", "a", "order-1", "order-2", "a name of more than eight bytes"].map(|name| hash(name.as_bytes()));
        assert_eq!(
            hashes,
            [
                0,
                1_764_839_671_277_857_293,
                16_735_892_747_255_414_876,
                13_600_917_448_703_158_248,
                15_513_552_322_792_538_580
            ]
        );
    }

    #[test]
    fn names_that_differ_little_spread_evenly() {
        const NAMES: usize = 64 * 1024;
        let (mut upper, mut all) = ([0_usize; 64], std::collections::HashSet::new());
        for number in 0..NAMES {
            let hash = hash(format!("order-{number}").as_bytes());
            upper[(hash >> 58) as usize] += 1;
            all.insert(hash);
        }
        assert_eq!(all.len(), NAMES, "no two are the same");
        let expected = NAMES / 64;
        assert!(upper.iter().all(|count| count.abs_diff(expected) < expected / 5), "{upper:?}");
    }
}
