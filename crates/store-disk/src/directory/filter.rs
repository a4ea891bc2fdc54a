//! A filter in front of the entries of a run, for the many look-ups of something that is not there.
//!
//! It has lines as long as those of a processor's cache, so such a look-up takes one access to memory. The upper bits of a
//! hash choose the line, so lines are filled in the order of the entries; its other bits choose six bits of the line. Each
//! line ends with its checksum, which is verified each time.

use crate::format::u32_at;

/// Length of a line.
pub(super) const LINE: usize = 64;

/// How much of it is bits; the rest is their checksum.
const BITS: usize = 8 * (LINE - 4);

/// A line is for so many entries, which makes one of about 200 answers wrong.
const ENTRIES: usize = 40;

/// A line that is being filled.
pub(super) type Line = [u8; LINE];

/// How many lines a filter for so many entries has.
pub(super) fn lines_for(entries: usize) -> usize {
    entries.div_ceil(ENTRIES)
}

/// Which line a hash belongs to.
pub(super) fn line_of(hash: u64, lines: usize) -> usize {
    usize::try_from((u128::from(hash) * lines as u128) >> 64).expect("it is less than the number of lines")
}

/// Adds a hash to its line.
pub(super) fn add(line: &mut Line, hash: u64) {
    bits(hash).for_each(|bit| line[bit / 8] |= 1 << (bit % 8));
}

/// Ends a line with its checksum.
pub(super) fn seal(line: &mut Line) {
    let checksum = crc32c::crc32c(&line[..LINE - 4]);
    line[LINE - 4..].copy_from_slice(&checksum.to_le_bytes());
}

/// Whether a hash may have been added to a line; `None` if the line is not what was written.
pub(super) fn may_have(line: &[u8], hash: u64) -> Option<bool> {
    let intact = crc32c::crc32c(&line[..LINE - 4]) == u32_at(line, LINE - 4);
    intact.then(|| bits(hash).all(|bit| line[bit / 8] & 1 << (bit % 8) != 0))
}

/// Six of the bits of a line.
fn bits(hash: u64) -> impl Iterator<Item = usize> {
    (0..6).map(move |number| ((hash >> (9 * number)) as usize % 512 * BITS) / 512)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Key;

    #[test]
    fn it_knows_all_that_was_added_and_little_else() {
        let hash = |number: usize| Key::stream(&format!("order-{number}")).hash;
        let lines = lines_for(20_000);
        let mut filter = vec![[0; LINE]; lines];
        (0..20_000).map(hash).for_each(|hash| add(&mut filter[line_of(hash, lines)], hash));
        filter.iter_mut().for_each(seal);
        let may_have = |number| may_have(&filter[line_of(hash(number), lines)], hash(number)).unwrap();
        assert!((0..20_000).all(may_have));
        let wrong = (20_000..120_000).filter(|number| may_have(*number)).count();
        assert!(wrong < 1_500, "{wrong} of 100,000 were let through");
        let last = filter.last_mut().unwrap();
        last[7] ^= 1;
        assert_eq!(super::may_have(last, u64::MAX), None);
    }
}
