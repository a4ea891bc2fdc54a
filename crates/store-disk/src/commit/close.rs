//! The end of writing: what waits is flushed, the end of the log is marked as synced, and the directory given free.

use std::io;

use super::{Committer, FlushError, Place, Refused, WriterState};
use crate::{directory::Keeper, format::segment::SEGMENT_HEAD};

impl Committer {
    /// Marks the end of the log as synced, takes no more events and gives the directory free. Closing again does nothing.
    /// Nobody carries a flight.
    pub(crate) fn close(&mut self) -> Result<(), io::Error> {
        if matches!((&self.log, &self.state), (Place::Lost, WriterState::Open)) {
            // A panic took the log away, and nobody has come since.
            self.abandon();
        }
        self.settle();
        let closed = self.end_writing();
        self.guard = None;
        closed
    }

    fn end_writing(&mut self) -> Result<(), io::Error> {
        if let Some(sealing) = self.sealing.take()
            && sealing.join().is_err()
        {
            tracing::warn!("building an index panicked; opening builds it again");
        }
        Keeper::stop(&self.core);
        if let Some(ahead) = self.ahead.take() {
            ahead.abandon(&*self.core.disk);
        }
        match &self.state {
            WriterState::Open => {}
            WriterState::Closed => return Ok(()),
            WriterState::Poisoned(reason) => {
                let error = io::Error::other(Refused::Poisoned(reason.clone()));
                self.core.close();
                return Err(error);
            }
        }
        let marked = self.write_mark();
        self.state = WriterState::Closed;
        self.core.close();
        marked
    }

    /// Writes an empty frame, whose sync mark covers everything before it.
    fn write_mark(&mut self) -> io::Result<()> {
        if self.end as u64 == SEGMENT_HEAD {
            return Ok(());
        }
        self.encode_mark();
        self.flush().map_err(|(FlushError::Cut(error) | FlushError::Unknown(error))| error)?;
        let end = self.end as u64;
        let log = self.log_here();
        log.file.set_len(end)?;
        log.allocated = end;
        Ok(())
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the event store was not closed cleanly; opening it recovers");
        }
        drop(self.answers());
    }
}
