//! What can be done in a history. What a seed makes of these is decided in `plan`, and done in `player`.

use std::time::Duration;

use mainspring_store::{Append, Read};

use super::mishap::Mishap;
use crate::{Fault, Operation, Unsynced};

/// One step of a history. Numbers without a name are lots that are drawn when the step is taken.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The store is created.
    Begin,
    /// Appends that are sent together, each so many turns of the runtime after the one before.
    Append(Vec<Append>, u64),
    /// An append whose caller goes away after so many turns of the runtime.
    Abandon(Append, u64),
    /// A read of the writing process.
    Read(Read),
    /// A read with a limit, and another one that goes on from where the first ended.
    Resume(Read),
    /// Followers look whether there is more; a new one begins.
    Follow(Read),
    /// Another process opens the store to read.
    Beside(Read),
    /// Another process, which has the store open to read, looks at it again; where there is none it begins.
    Beholder(Read),
    /// Space is freed, and something goes wrong meanwhile.
    Scavenge(Mishap),
    /// A backup is taken or brought up to date, and something goes wrong where it is written; what power may leave of that.
    Backup(Mishap, Unsynced),
    /// The backup is restored, and something goes wrong where that is written.
    Restore(Mishap, u64),
    /// Time passes.
    Wait(Duration),
    /// The clock is set back.
    SetBack(Duration),
    /// The store is closed, or just dropped, and opened again.
    Reopen { close: bool },
    /// The store is closed, some of its derived files are lost, and it is opened again.
    LoseDerived(u64),
    /// Power goes now.
    Crash(Unsynced),
    /// Power goes in the change of the disk that comes after so many others.
    PowerCut(u64),
    /// Something will fail.
    Fail(Fault),
    /// Nothing will fail any more.
    Heal,
    /// The disk has room for so many bytes more.
    Fill(u64),
    /// It has room again.
    Free,
    /// Writes take only a part, or do so no more.
    ShortWrites(bool),
    /// Operations of this kind take their time, or do so no more.
    Slow(Operation, Duration),
    /// The machine needs its memory for something else.
    Evict,
    /// A bit changes in a copy of the directory.
    Rot(u64),
    /// The directory is verified.
    Verify,
    /// Everything that fails is over, the store is closed and opened, power goes, and all is looked at.
    End,
}
