//! A clock that stands still until a test moves it, and counts how often it is looked at.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use jiff::Timestamp;
use mainspring_conformance::ManualClock;
use mainspring_store::Clock;

use crate::kit;

pub(crate) struct Counting {
    clock: ManualClock,
    looks: AtomicUsize,
}

impl Counting {
    pub(crate) fn new() -> Arc<Self> {
        let now = Timestamp::from_second(1_700_000_000).expect("it is within what can be represented");
        Arc::new(Self { clock: ManualClock::at(now), looks: AtomicUsize::new(0) })
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Waits until the broker has seen the time twice: what follows from the first look has happened then.
    pub(crate) async fn until_seen(&self) {
        let before = self.looks.load(SeqCst);
        kit::until(async || self.looks.load(SeqCst) >= before + 2).await;
    }

    /// Fails if somebody looks at the clock again and again, as one does who does not sleep.
    pub(crate) async fn assert_asleep(&self) {
        let before = self.looks.load(SeqCst);
        kit::silence().await;
        let looks = self.looks.load(SeqCst) - before;
        assert!(looks < 60, "{looks} looks at the clock in {:?}", kit::SILENCE);
    }
}

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        self.looks.fetch_add(1, SeqCst);
        self.clock.now()
    }
}
