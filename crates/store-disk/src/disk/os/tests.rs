//! What becomes of two pieces that are written at once.

use super::*;

/// Memory as logs are written from.
#[repr(align(4096))]
struct Pages([u8; 3 * PAGE]);

fn pages() -> Box<Pages> {
    let mut pages = Box::new(Pages([0; 3 * PAGE]));
    (0_u8..).zip(pages.0.chunks_mut(512)).for_each(|(number, sector)| sector.fill(number + 1));
    pages
}

#[test]
fn two_pieces_of_a_log_follow_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let disk = OsDisk::create(directory.path()).unwrap();
    let log = disk.create_log("a.log").unwrap();
    let (first, second) = (pages(), pages());
    for (offset, one, other) in [(0, 2, 1), (3, 0, 3), (6, 3, 0), (9, 1, 2)] {
        let offset = offset * PAGE as u64;
        log.write_all_of_both_at(offset, &first.0[..one * PAGE], &second.0[..other * PAGE]).unwrap();
        let expected = [&first.0[..one * PAGE], &second.0[..other * PAGE]].concat();
        assert_eq!(log.read_exact_at(offset, 3 * PAGE).unwrap(), expected);
    }
    log.sync().unwrap();
    assert_eq!(log.size().unwrap(), 12 * PAGE as u64);
}

/// Some file systems refuse direct writes, or those from some memory: then the cache takes them.
#[test]
fn what_cannot_go_past_the_cache_goes_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let disk = OsDisk::create(directory.path()).unwrap();
    let log = disk.create_log("a.log").unwrap();
    let (first, second) = (pages(), pages());
    log.write_all_of_both_at(7, &first.0[1..1001], &second.0[3..5000]).unwrap();
    assert_eq!(log.read_exact_at(7, 1000).unwrap(), first.0[1..1001]);
    assert_eq!(log.read_exact_at(1007, 4997).unwrap(), second.0[3..5000]);
}
