//! The page cache: what "cold" means. Dropping the pages of single files needs no privileges.

use std::{
    fs::{self, File},
    path::Path,
};

use rustix::fs::{Advice, fadvise};

/// Makes the system forget the content of the files in `directory`: each is synced, then its pages are given up by
/// `posix_fadvise(POSIX_FADV_DONTNEED)`. Pages that a process has mapped stay; nobody may have the files open.
pub(crate) fn drop_pages(directory: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let file = File::open(entry.path())?;
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}
