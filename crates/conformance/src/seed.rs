//! Randomness that a seed replays (SplitMix64, Steele, Lea and Flood 2014).

use std::ops::RangeInclusive;

/// A source of numbers, the same for the same seed. It serves every test of the workspace that draws lots.
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// The source that `seed` makes.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range, which is not all of `u64`.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.draw() % (range.end() - range.start() + 1)
    }

    /// An index into something of this length, which is not empty.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.within(0..=len as u64 - 1)).expect("it is less than a usize")
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.draw().is_multiple_of(times)
    }

    /// One of these, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// Brings these into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
