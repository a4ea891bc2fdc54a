//! Manifests, as they were written and as they were not.

use mainspring_store::{Lineage, StoreId};

use super::{BadManifest, Manifest, SegmentEntry};

fn manifest() -> Manifest {
    let segments = vec![
        SegmentEntry { number: 1, base: 0, sealed: Some(4_096) },
        SegmentEntry { number: 2, base: 4_096, sealed: None },
    ];
    Manifest { epoch: 3, segments, ..Manifest::new(StoreId::new(), Lineage::new()) }
}

#[test]
fn a_manifest_comes_back() {
    let manifest = manifest();
    assert_eq!(Manifest::decode(&manifest.encode()).unwrap(), manifest);
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
