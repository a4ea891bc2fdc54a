//! Who waits for a position. A runner that lets events gather stops doing so while somebody waits for them.

use tokio::sync::watch;

/// Counts those who wait. Clones share the count.
#[derive(Clone)]
pub(crate) struct Waiting(watch::Sender<usize>);

/// Somebody who waits, until it is dropped.
pub(crate) struct Waits<'a>(&'a Waiting);

impl Waiting {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Somebody begins to wait.
    pub(crate) fn begin(&self) -> Waits<'_> {
        self.0.send_modify(|waiting| *waiting += 1);
        Waits(self)
    }

    /// Completes as soon as somebody waits.
    pub(crate) async fn someone(&self) {
        // It fails when no sender is left, and there is one in `self`.
        let _ = self.0.subscribe().wait_for(|waiting| *waiting > 0).await;
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|waiting| *waiting -= 1);
    }
}
