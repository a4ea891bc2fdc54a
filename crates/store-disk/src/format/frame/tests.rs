//! Headers and names of frames, as they were written and as they were not.

use mainspring_conformance::Seed;

use super::{FRAME_HEAD, FrameHead, Kind, Name, names, put_emptied, put_name};

fn head(seed: &mut Seed) -> FrameHead {
    let mut number = || seed.draw() as u32;
    FrameHead {
        length: number(),
        events: number(),
        lsn: u64::from(number()) << 20,
        first_position: u64::from(number()) << 10,
        synced: u64::from(number()),
        epoch: number(),
        previous: number(),
        names: number(),
        changes: number(),
        body: number(),
        store: number(),
    }
}

#[test]
fn a_header_comes_back_and_no_other_bytes_are_one() {
    let mut seed = Seed::new(1);
    let mut bytes = [0; FRAME_HEAD];
    for _ in 0..20 {
        let head = head(&mut seed);
        let checksum = head.encode(&mut bytes);
        assert_eq!(FrameHead::decode(&bytes), Some((head, checksum)));
        for len in 0..FRAME_HEAD {
            assert_eq!(FrameHead::decode(&bytes[..len]), None);
        }
        for bit in 0..FRAME_HEAD * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHead::decode(&flipped), None, "bit {bit}");
        }
    }
    assert_eq!(FrameHead::decode(&[0; FRAME_HEAD]), None, "zeros ahead of the end are no frame");
}

#[test]
fn names_come_back_in_order() {
    let longest = "ü".repeat(127);
    let plain = |kind, text| Name { kind, text, emptied_at: None };
    let emptied = Name { emptied_at: Some(1 << 40), ..plain(Kind::Stream, "gone-1") };
    let tag = plain(Kind::Tag, "");
    let entries =
        [plain(Kind::Stream, "a-1"), tag, emptied, plain(Kind::ContentType, &longest), plain(Kind::Source, "発生")];
    let mut bytes = Vec::new();
    entries.iter().for_each(|name| match name.emptied_at {
        Some(head) => put_emptied(&mut bytes, name.text, head),
        None => put_name(&mut bytes, name.kind, name.text),
    });
    assert!(names(&bytes).eq(entries.iter().map(|entry| Some(*entry))));
    for len in 0..bytes.len() {
        let read: Vec<_> = names(&bytes[..len]).collect();
        let whole = read.iter().take_while(|name| name.is_some()).count();
        assert!(read.len() - whole <= 1, "reading ends with the first that is cut off");
        assert!(read.into_iter().flatten().eq(entries[..whole].iter().copied()));
    }
}

#[test]
fn names_that_nobody_wrote_are_refused() {
    let mut seed = Seed::new(2);
    assert_eq!(names(&[9, 0, 0]).collect::<Vec<_>>(), [None], "there is no such dictionary");
    assert_eq!(names(&[0, 1, 0, 0xff]).collect::<Vec<_>>(), [None], "this is not text");
    for _ in 0..2_000 {
        let garbage: Vec<u8> = (0..seed.within(0..=40)).map(|_| (seed.draw() >> 40) as u8 & 7).collect();
        let read: Vec<_> = names(&garbage).collect();
        assert!(read.iter().rev().skip(1).all(Option::is_some));
    }
}
