//! Writes the seeds of the fuzz targets anew, from the directories that are kept of each format:
//! `cargo run -p mainspring-store-disk --features fuzzing --example corpus`.
//!
//! Files whose names do not begin with `seed-` are findings and are left alone.

use std::{collections::HashSet, error::Error, fs, path::Path};

use mainspring_store_disk::fuzzing::{TARGETS, seeds};

fn main() -> Result<(), Box<dyn Error>> {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = home.join("../../fuzz/corpus");
    for (target, _) in TARGETS {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory)?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("seed-") {
                fs::remove_file(entry.path())?;
            }
        }
    }
    let mut kept: Vec<_> = fs::read_dir(home.join("tests/golden"))?.collect::<Result<Vec<_>, _>>()?;
    kept.sort_by_key(fs::DirEntry::file_name);
    let mut written = HashSet::new();
    for entry in kept.iter().filter(|entry| entry.path().is_dir()) {
        for (number, (target, bytes)) in seeds(&entry.path())?.iter().enumerate() {
            let name = format!("seed-{}-{number:03}", entry.file_name().to_string_lossy());
            if written.insert((*target, bytes.clone())) {
                fs::write(corpus.join(target).join(name), bytes)?;
            }
        }
    }
    Ok(())
}
