//! A call to whoever works in the background: there is something to do.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Rung by many, heard by one. However often it is rung, it is heard once and then again only if it is rung again.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    rung: bool,
    stopped: bool,
}

impl Bell {
    /// There is something to do.
    pub(crate) fn ring(&self) {
        self.lock().rung = true;
        self.rung.notify_one();
    }

    /// There will be nothing more to do.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.rung.notify_one();
    }

    /// Whether there will be nothing more to do.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Waits until there is something to do; `false` if there will be nothing more.
    pub(crate) fn wait(&self) -> bool {
        let mut state = self.lock();
        while !state.rung && !state.stopped {
            state = self.rung.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::take(&mut state.rung)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
