//! Time behind a seam, so that tests can make hours pass.

use jiff::Timestamp;

/// Tells the time that a store stamps on what it records.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The wall clock of the machine. A store never lets `recorded` run backwards, even when this clock does.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
