//! A tool crate of Mainspring: the machine under a store, simulated, so that a test can make it fail at every boundary.
//!
//! [`SimDisk`] keeps apart what was written and what would survive the loss of power. It crashes between any two
//! operations and keeps, drops or tears what was not synced; it runs full, writes short, fails to sync and forgets what it
//! failed to sync. What it does follows from a seed, and it counts what it did. [`LyingDisk`] is the canary: a test of
//! durability that does not fail on it tests nothing.
//!
//! Time is not simulated here: a store takes its clock as an option, and `ManualClock` of `mainspring-conformance` is one.
//!
//! ```
//! use std::sync::Arc;
//! use mainspring_sim::{SimDisk, Unsynced};
//! use mainspring_store_disk::{Access, Disk};
//!
//! let disk = SimDisk::new(7);
//! let file = disk.create("notes")?;
//! file.write_at(0, b"kept")?;
//! file.sync()?;
//! disk.sync_entries()?;
//! file.write_at(4, b" and lost")?;
//!
//! let rebooted = disk.crash(Unsynced::Dropped);
//! assert_eq!(rebooted.contents("notes").as_deref(), Some(&b"kept"[..]));
//! assert!(file.sync().is_err(), "the machine that crashed is gone");
//! assert_eq!(rebooted.injected().dropped_writes, 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod disk;
mod fault;
mod injected;
mod lying;
mod seed;

pub use disk::{SimDisk, Unsynced};
pub use fault::{Fault, Operation};
pub use injected::Injected;
pub use lying::LyingDisk;
pub use seed::Seed;
