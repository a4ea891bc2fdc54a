//! How a projection is run: when it tries again, and how much it commits at once.

use std::time::Duration;

use mainspring_retry::Retry;

/// How a projection is run. The defaults suit most.
#[derive(Clone, Debug)]
pub struct Options {
    /// When to try again after a failure. By default immediately, then after 1 s, 5 s, 30 s and 2 min, the last for ever;
    /// a schedule that ends stops the projection with an error.
    pub retry: Retry,
    /// While catching up, commit after so many events (default 10,000).
    pub commit_events: usize,
    /// While catching up, commit after so many bytes of payload (default 16 MiB).
    pub commit_bytes: usize,
    /// While catching up, commit after this time (default 100 ms).
    pub commit_after: Duration,
    /// Where events keep coming, they are taken no more often than this (default 5 ms), each time all that came meanwhile
    /// in one transaction: the read model is behind by so much more, and a busy one costs a fraction. An event after a
    /// quiet time is applied at once, and so is everything while somebody waits in
    /// [`read_after`](crate::Projected::read_after). Zero applies each batch of the store when it comes.
    pub linger: Duration,
    /// Progress over events that do not match is committed no more often than this (default 1 s). Readers that wait for
    /// a position learn of it at once.
    pub progress_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            retry: Retry::default().then_forever(),
            commit_events: 10_000,
            commit_bytes: 16 << 20,
            commit_after: Duration::from_millis(100),
            linger: Duration::from_millis(5),
            progress_every: Duration::from_secs(1),
        }
    }
}
