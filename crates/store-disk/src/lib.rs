//! The embedded event store of Mainspring: one log in a directory, durable before it answers.
//!
//! It is an [`EventStore`](mainspring_store::EventStore) for one writing process and any number of reading ones. Every
//! commit is one checksummed frame of one log; a group of concurrent appends is written and synced together. Indexes are
//! derived from the log. `docs/format.md` describes the bytes.
//!
//! It is not a replicated store: for several machines use PostgreSQL.

mod backup;
mod bell;
mod catalog;
mod commit;
mod core;
mod damage;
mod directory;
mod disk;
mod error;
mod format;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod index;
mod names;
mod open;
mod prepare;
mod queue;
mod reading;
mod records;
mod reindex;
mod rules;
mod scan;
mod scavenge;
mod segment;
mod select;
mod stats;
mod store;
mod streams;
mod tail;
mod verify;
mod view;

pub use backup::{BackupError, BackupReport, Restored, restore_backup, restore_backup_on};
pub use damage::Damage;
pub use disk::{Access, Disk, DiskFile, LockError, OsDisk};
pub use error::OpenError;
pub use reindex::{Reindexed, Which, reindex, reindex_on};
pub use scavenge::{ScavengeError, Scavenged};
pub use stats::{CategoryStats, SegmentStats, Stats, StreamStats, TypeStats};
pub use store::{DiskStore, Options};
pub use verify::{Finding, FindingKind, Lost, Verification, verify, verify_on};
