//! Watermarks: what is not one says nothing.

use super::{WATERMARK_LEN, decode, encode};

#[test]
fn a_watermark_comes_back_and_no_other_bytes_are_one() {
    for synced in [0, 1, 4_096, u64::MAX] {
        let bytes = encode(synced);
        assert_eq!(decode(&bytes), synced);
        for len in 0..WATERMARK_LEN {
            assert_eq!(decode(&bytes[..len]), 0);
        }
        for bit in 0..WATERMARK_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), 0, "bit {bit}");
        }
    }
    assert_eq!(decode(&[0; WATERMARK_LEN]), 0);
}

#[test]
fn a_watermark_torn_between_two_says_nothing() {
    let (old, new) = (encode(4_096), encode(77_777));
    for cut in 1..WATERMARK_LEN {
        let torn = [&new[..cut], &old[cut..]].concat();
        let unchanged = [&new[..], &old[..]].contains(&&torn[..]);
        assert!(unchanged || decode(&torn) == 0, "cut at {cut}");
    }
}
