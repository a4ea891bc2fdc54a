//! A demo that is dropped in the middle.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mainspring_shop::demo::{Phase, Progress, run};
use tokio::sync::Notify;

use crate::input::{Place, assert_complete, lines};

/// Notes when some, but not all, commands have been carried out.
#[derive(Default)]
struct Midway {
    commands: AtomicBool,
    total: AtomicU64,
    reached: Notify,
}

impl Progress for Midway {
    fn phase(&self, phase: Phase, total: u64) {
        self.commands.store(phase == Phase::Commands, Ordering::Relaxed);
        self.total.store(total, Ordering::Relaxed);
    }

    fn at(&self, done: u64) {
        let midway = (1..self.total.load(Ordering::Relaxed)).contains(&done);
        if midway && self.commands.load(Ordering::Relaxed) {
            self.reached.notify_one();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_where_it_was_dropped() {
    let place = Place::with_purchases(10_000);
    let (options, midway) = (place.options(), Midway::default());
    tokio::select! {
        report = run(&options, &midway) => panic!("it was to be dropped before it ended: {}", report.unwrap()),
        () = midway.reached.notified() => {}
    }
    let report = place.run().await;
    assert_complete(&report, &lines(10_000));
    assert!(report.resumed);
    assert!(report.commands < report.events && report.events_appended == report.commands, "{report}");
}
