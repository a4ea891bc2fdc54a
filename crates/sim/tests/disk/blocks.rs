//! Logs that are written past the cache, in whole blocks.

use std::{collections::HashSet, io, sync::Arc};

use mainspring_sim::{Fault, Lie, LyingDisk, Operation, SimDisk, Unsynced};
use mainspring_store_disk::{Access, Disk};

use crate::{durable, write};

/// Bytes that begin at a multiple of 4096.
#[repr(align(4096))]
struct Page([u8; 8192]);

static PAGE: Page = Page([7; 8192]);

#[test]
fn logs_are_written_in_whole_blocks() {
    let disk = SimDisk::new(1);
    disk.align_logs(512);
    let lying = LyingDisk::new(Arc::new(disk.clone()), Lie::NeverSync);
    let files = [disk.create_log("a").unwrap(), disk.open_log("a").unwrap(), lying.open_log("a").unwrap()];
    for file in files {
        assert_eq!(file.alignment(), 512);
        write(&*file, 512, &PAGE.0[512..1536]);
        for (offset, bytes) in [(1, &PAGE.0[..512]), (0, &PAGE.0[..511]), (0, &PAGE.0[1..513])] {
            assert_eq!(file.write_at(offset, bytes).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
        file.set_len(700).unwrap();
    }
    for file in [disk.create("a").unwrap(), disk.open("a", Access::Write).unwrap()] {
        assert_eq!(file.alignment(), 1);
        write(&*file, 1, b"any");
    }
    assert_eq!(disk.crash(Unsynced::Kept).open_log("a").unwrap().alignment(), 512, "it is the same disk after a crash");
}

#[test]
fn whole_sectors_of_a_log_survive_in_any_order() {
    let mut outcomes = HashSet::new();
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        disk.align_logs(512);
        durable(&disk, "a", &[0; 1536]);
        write(&*disk.open_log("a").unwrap(), 0, &PAGE.0[..1536]);
        let left = disk.crash(Unsynced::Random).contents("a").unwrap();
        assert!(left.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "a torn sector");
        outcomes.insert((left[0], left[512], left[1024]));
    }
    assert_eq!(outcomes.len(), 8, "{outcomes:?}");
}

#[test]
fn a_log_takes_whole_blocks_of_what_it_takes() {
    let (mut shortened, mut failed) = (0, HashSet::new());
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        disk.align_logs(4096);
        let file = disk.create_log("a").unwrap();
        disk.shorten_writes(true);
        let taken = file.write_at(0, &PAGE.0).unwrap();
        assert!(taken == 4096 || taken == 8192, "{taken}");
        shortened += usize::from(taken == 4096);
        disk.shorten_writes(false);
        disk.set_capacity(Some(5000));
        file.set_len(0).unwrap();
        assert_eq!(file.write_at(0, &PAGE.0).unwrap(), 4096);
        assert_eq!(file.write_at(4096, &PAGE.0[..4096]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        disk.set_capacity(None);
        file.set_len(0).unwrap();
        disk.inject(Fault::on(Operation::Write));
        assert!(file.write_at(0, &PAGE.0[..4096]).is_err());
        failed.insert(disk.contents("a").unwrap().len());
    }
    assert!(shortened > 10 && failed.len() > 5, "{shortened} {failed:?}");
    assert!(
        failed.iter().all(|len| len.is_multiple_of(512)),
        "a write that fails may have done whole sectors: {failed:?}"
    );
}
