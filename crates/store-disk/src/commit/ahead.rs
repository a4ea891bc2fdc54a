//! The next segment, filled with zeros while this one is still written, so that going on costs little and no append waits
//! for new blocks of the file system.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::write::write_zeros;
use crate::{
    disk::{Disk, DiskFile},
    image::PAGE,
};

/// The name under which it is prepared; opening removes one that was left behind.
const AHEAD: &str = "next.log.new";

/// So much is synced together, so that syncs of the log beside it stay short.
const SYNC_EVERY: u64 = 2 << 20;

/// A file of zeros that is, or is becoming, ready to be the next segment.
pub(super) struct Ahead {
    thread: JoinHandle<io::Result<Arc<dyn DiskFile>>>,
    stop: Arc<AtomicBool>,
}

impl Ahead {
    /// Begins to fill a file of `bytes` bytes.
    pub(super) fn begin(disk: Arc<dyn Disk>, bytes: u64) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let builder = thread::Builder::new().name("mainspring-ahead".to_owned());
        let thread = builder.spawn(move || {
            // On a full disk the room is needed for events.
            fill(&*disk, bytes, &stopped).inspect_err(|_| drop(disk.remove(AHEAD)))
        })?;
        Ok(Self { thread, stop })
    }

    /// The file, renamed to `name`, as far as it is filled by now: waiting for the rest would take longer than to go on
    /// filling in place.
    pub(super) fn take(self, disk: &dyn Disk, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.stop.store(true, Ordering::Relaxed);
        let file = self.thread.join().map_err(|_| io::Error::other("filling the next segment panicked"))??;
        disk.rename(AHEAD, name)?;
        Ok(file)
    }

    /// Gives up and removes the file.
    pub(super) fn abandon(self, disk: &dyn Disk) {
        self.stop.store(true, Ordering::Relaxed);
        let filled =
            self.thread.join().map_err(|_| io::Error::other("it panicked")).and_then(|filled| filled.map(drop));
        if let Err(error) = filled.and_then(|()| disk.remove(AHEAD)) {
            tracing::debug!(%error, "the next segment, which was not needed, was not prepared to its end");
        }
    }
}

fn fill(disk: &dyn Disk, bytes: u64, stop: &AtomicBool) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create_log(AHEAD)?;
    let go_on = || !stop.load(Ordering::Relaxed);
    let bytes = bytes.next_multiple_of(PAGE as u64);
    let mut filled = 0;
    while filled < bytes && go_on() {
        let until = (filled + SYNC_EVERY).min(bytes);
        write_zeros(&*file, filled, until, go_on)?;
        file.sync()?;
        filled = until;
    }
    Ok(file)
}
