//! A tool crate of Mainspring: the machine under a store, simulated, so that a test can make it fail at every boundary;
//! and random histories on that machine, each of which a seed replays.
//!
//! [`SimDisk`] keeps apart what was written and what would survive the loss of power. It crashes between any two
//! operations and keeps, drops or tears what was not synced; it runs full, writes short, fails to sync and forgets what it
//! failed to sync. What it does follows from a seed, and it counts what it did.
//!
//! [`play`] makes a history out of a seed: what is asked of a store on disk and what goes wrong with it meanwhile, checked
//! at each step against the reference model. [`Flaw`] are the canaries, disks that lie and stores with a bug: a test that
//! does not fail on them tests nothing. `docs/testing.md` says how to use all this.
//!
//! [`SimBroker`] is the reference model of a broker behind a network that fails: requests and confirmations are lost or late,
//! members lose their connections.
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

mod campaign;
mod disk;
mod fault;
mod flaw;
mod history;
mod injected;
mod lying;
mod network;

pub use campaign::{Campaign, Catch, hunt, play_all};
pub use disk::{SimDisk, Unsynced};
pub use fault::{Fault, Operation};
pub use flaw::Flaw;
pub use history::{Played, Totals, Violation, play};
pub use injected::Injected;
pub use lying::{Lie, LyingDisk};
pub use network::{Interruptions, SimBroker, Trouble};
