//! Layer 2b of Mainspring: projections, the read side. A [`Projection`] turns events into the rows of a read model; this
//! crate runs it over any store and any [`View`], the database that holds the rows.
//!
//! - **Exactly once.** Rows and checkpoint commit in one transaction of the view's database, so whatever happens in
//!   between, each event has its effect once.
//! - **Never skipped.** An event that fails is reported by position, type and stream, and tried again by the schedule; one
//!   that cannot be decoded stops the projection with an error.
//! - **Fast to catch up, prompt when live.** Many batches share one transaction until the head is reached. From then on
//!   what comes is committed at once, or where events keep coming every few milliseconds ([`Options::linger`]).
//! - **Read your writes.** [`Projected::read_after`] waits for a position, even where nothing there matches.
//! - **Rebuilt beside the old.** A new version, or a rebuild of the same one, fills tables of its own; readers switch when
//!   it has caught up.
//!
//! What a projection does must stay inside its tables: it runs again on every rebuild and after every rollback. Effects
//! elsewhere belong in handlers and sagas.
//!
//! [`prepare`] gives a [`Projected`] to read from and a [`Runner`], a future that the application spawns and joins.
//! `mainspring-view-sqlite` holds the view for SQLite and a complete example.

mod error;
mod metrics;
mod options;
mod projected;
mod projection;
mod runner;
mod status;
mod view;
mod waiting;

pub use error::{EventPlace, ProjectionError};
pub use metrics::{Lag, Metrics};
pub use options::Options;
pub use projected::{Projected, RebuildError, WaitError};
pub use projection::{Projection, Writer};
pub use runner::{Runner, prepare, prepare_with};
pub use status::{Building, FailureReport, Phase, Status};
pub use view::{Generation, Opened, View};
