//! Failures that a test asks for.

use std::{io, ops::Range};

/// What a program asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Listing the files.
    List,
    /// Opening a file.
    Open,
    /// Asking for its length.
    Size,
    /// Reading from it.
    Read,
    /// Mapping it.
    Map,
    /// Creating or emptying a file.
    Create,
    /// Writing to it.
    Write,
    /// Cutting or extending it.
    SetLen,
    /// Making its content durable.
    Sync,
    /// Renaming it.
    Rename,
    /// Removing it.
    Remove,
    /// Making creations, renames and removals durable.
    SyncEntries,
}

impl Operation {
    pub(crate) const KINDS: usize = Self::SyncEntries as usize + 1;

    /// All of them.
    pub const ALL: [Self; Self::KINDS] = [
        Self::List,
        Self::Open,
        Self::Size,
        Self::Read,
        Self::Map,
        Self::Create,
        Self::Write,
        Self::SetLen,
        Self::Sync,
        Self::Rename,
        Self::Remove,
        Self::SyncEntries,
    ];

    /// Whether one that failed may have been done nevertheless, as a whole.
    pub(crate) fn may_be_done(self) -> bool {
        matches!(self, Self::SetLen | Self::Rename | Self::Remove)
    }

    /// Whether it can change what a crash leaves behind. A disk counts these, and stops at them.
    pub fn is_change(self) -> bool {
        !matches!(self, Self::List | Self::Open | Self::Size | Self::Read | Self::Map)
    }
}

/// A failure to come: of the next such operation, once, with an I/O error, unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) operation: Operation,
    file: Option<String>,
    region: Option<Range<u64>>,
    skip: u64,
    times: u64,
    full: bool,
}

impl Fault {
    /// A failure of an operation.
    ///
    /// A failing write may have written a part or all. A failing sync leaves each write since the last one durable, still to be
    /// synced, or taken for durable without being so; a change of length is durable or still to be synced. A failing rename, removal or change of length may have been done.
    pub fn on(operation: Operation) -> Self {
        Self { operation, file: None, region: None, skip: 0, times: 1, full: false }
    }

    /// Only where the file of this name is concerned; for a rename, the file that is renamed.
    pub fn of(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// Only where these bytes of a file are read, mapped or written: a bad place of the medium.
    pub fn within(mut self, region: Range<u64>) -> Self {
        self.region = Some(region);
        self
    }

    /// Only after so many of these operations have succeeded.
    pub fn after(mut self, operations: u64) -> Self {
        self.skip = operations;
        self
    }

    /// As often as that.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// For want of room.
    pub fn full(mut self) -> Self {
        self.full = true;
        self
    }

    /// Whether this operation on these bytes of a file fails; counts it.
    pub(crate) fn strikes(&mut self, operation: Operation, file: &str, bytes: &Range<u64>) -> bool {
        let elsewhere = |region: &Range<u64>| region.end <= bytes.start || bytes.end <= region.start;
        if self.operation != operation
            || self.file.as_deref().is_some_and(|name| name != file)
            || self.region.as_ref().is_some_and(elsewhere)
        {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.times = self.times.saturating_sub(1);
        true
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.times == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full
    }
}

/// What a medium says that cannot be read or written.
pub(crate) fn io_error() -> io::Error {
    const EIO: i32 = 5;
    io::Error::from_raw_os_error(EIO)
}

/// Whether it is what a full disk says.
pub(crate) fn is_for_room(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StorageFull
}

/// What a full disk says.
pub(crate) fn no_room() -> io::Error {
    const ENOSPC: i32 = 28;
    io::Error::from_raw_os_error(ENOSPC)
}
