//! Heads of segments, as they were written and as they were not.

use mainspring_store::StoreId;

use super::{BadHead, SEGMENT_HEAD, SegmentHead};

const HEAD: SegmentHead = SegmentHead {
    store: StoreId::from_bytes([7; 16]),
    number: 3,
    base: 1 << 40,
    first_position: 1 << 50,
    previous: 0xdead_beef,
    generation: 9,
};

#[test]
fn a_head_comes_back() {
    assert_eq!(SegmentHead::decode(&HEAD.encode()), Ok(HEAD));
    assert_ne!(HEAD.chain(), SegmentHead { number: 4, ..HEAD }.chain());
}

#[test]
fn a_head_that_was_changed_or_cut_off_is_refused() {
    let bytes = HEAD.encode();
    for len in 0..SEGMENT_HEAD as usize {
        assert_eq!(SegmentHead::decode(&bytes[..len]), Err(BadHead::Damaged));
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(SegmentHead::decode(&flipped), Err(BadHead::Damaged), "bit {bit}");
    }
}

#[test]
fn a_newer_head_says_so() {
    let mut bytes = HEAD.encode();
    bytes[8] = 9;
    let checksum = crc32c::crc32c(&bytes[..60]);
    bytes[60..].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(SegmentHead::decode(&bytes), Err(BadHead::Newer(9)));
}
