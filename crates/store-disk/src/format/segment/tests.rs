//! Heads of segments, as they were written and as they were not.

use mainspring_store::StoreId;

use super::{BadHead, SEGMENT_HEAD, SegmentHead, is_segment_name};

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

#[test]
fn only_what_a_store_writes_is_taken_for_a_segment() {
    for name in ["00000001.log", "00000001.idx", "00000007-12.log", "123456789-1.idx", "4294967295.log"] {
        assert!(is_segment_name(name), "{name}");
    }
    for name in
        ["app.log", "1.log", "000000001.log", "+0000001.log", "00000001.txt", "00000001-.log", "00000001-07.idx"]
    {
        assert!(!is_segment_name(name), "{name}");
    }
}
