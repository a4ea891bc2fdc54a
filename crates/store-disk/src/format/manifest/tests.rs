//! Manifests, as they were written and as they were not.

use mainspring_store::{Lineage, StoreId};

use super::{BadManifest, Compacted, Manifest, SegmentEntry};

fn manifest() -> Manifest {
    let segments =
        vec![SegmentEntry { sealed: Some(4_096), ..SegmentEntry::active(1, 0) }, SegmentEntry::active(2, 4_096)];
    Manifest { epoch: 3, segments, ..Manifest::new(StoreId::new(), Lineage::new()) }
}

#[test]
fn a_manifest_comes_back() {
    let manifest = manifest();
    assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
}

#[test]
fn compacted_segments_keep_the_place_of_those_before() {
    // Five full segments of 100 bytes and one that is written; the frame before segment n has checksum n.
    let full =
        |number: u32| SegmentEntry { sealed: Some(100), ..SegmentEntry::active(number, 100 * u64::from(number - 1)) };
    let mut manifest = Manifest { segments: (1..=5).map(full).collect(), ..manifest() };
    manifest.segments.push(SegmentEntry::active(6, 500));
    let gone = |generation, last, end, chain| Some(Compacted { generation, last, end, chain });
    manifest.compact((2, 2), 3, None);
    manifest.compact((4, 4), 5, None);
    assert_eq!(manifest.segments[1].compacted, gone(None, 2, 200, 3));
    manifest.compact((3, 3), 4, None);
    assert_eq!(manifest.segments.len(), 4, "what is gone is one entry");
    assert_eq!(manifest.segments[1].compacted, gone(None, 4, 400, 5), "what is known of the end is kept");
    let mut other = manifest.clone();
    manifest.compact((1, 1), 99, Some((7, 60)));
    let names = |manifest: &Manifest| manifest.segments.iter().map(SegmentEntry::log_name).collect::<Vec<_>>();
    assert_eq!(
        manifest.segments[0].compacted,
        gone(Some(7), 4, 400, 5),
        "it takes the place of what is gone behind it"
    );
    assert_eq!(names(&manifest), ["00000001-7.log", "00000005.log", "00000006.log"]);
    manifest.compact((1, 5), 6, Some((8, 50)));
    let entry = &manifest.segments[0];
    assert_eq!((entry.base, entry.sealed, entry.compacted), (0, Some(50), gone(Some(8), 5, 500, 6)));
    assert_eq!(entry.index_name(), "00000001-8.idx");
    other.compact((5, 5), 6, None);
    assert_eq!((other.segments.len(), other.segments[1].compacted), (3, gone(None, 5, 500, 6)));
    for manifest in [manifest, other] {
        assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
    }
}

#[test]
fn a_manifest_that_was_changed_or_cut_off_is_refused() {
    let bytes = manifest().encode();
    for len in 0..bytes.len() {
        assert!(matches!(Manifest::decode(&bytes[..len]), Err(BadManifest::Damaged(_))), "cut at {len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(Manifest::decode(&flipped), Err(BadManifest::Damaged(_))), "bit {bit}");
    }
    assert!(matches!(Manifest::decode(&[bytes, vec![b'\n']].concat()), Err(BadManifest::Damaged(_))));
}

#[test]
fn a_newer_manifest_says_so_whatever_else_it_says() {
    let json = r#"{"format":2,"shards":[]}"#;
    let bytes = format!("{json}\ncrc32c {:08x}\n", crc32c::crc32c(json.as_bytes()));
    assert!(matches!(Manifest::decode(bytes.as_bytes()), Err(BadManifest::Newer(2))));
    let json = r#"{"format":1}"#;
    let bytes = format!("{json}\ncrc32c {:08x}\n", crc32c::crc32c(json.as_bytes()));
    assert!(matches!(Manifest::decode(bytes.as_bytes()), Err(BadManifest::Damaged(_))));
}
