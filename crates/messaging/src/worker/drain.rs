//! The end of a subscription: what is in work is finished and settled, and the rest goes back.

use std::time::Duration;

use mainspring_broker::{Outcome, Slice};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use super::{Happened, Worker, extended, held, settling::until};
use crate::RunError;

/// How much longer than handlers the last settlements may take.
const MARGIN: Duration = Duration::from_secs(1);

impl Worker {
    /// Fetches nothing more, waits for handlers for `grace` at most, settles what they answered, and leaves the group.
    /// A handler that has not ended then is dropped; its delivery comes back, and that was an attempt.
    pub(super) async fn drain(&mut self, grace: Duration) -> Result<(), RunError> {
        self.give_back_gathered(|_| true);
        let deadline = Instant::now() + grace;
        let settler = self.settling.settler().clone();
        let mut closing = Box::pin(async move { settler.close((deadline + MARGIN).into_std()).await });
        let mut closed = None;
        let mut ticks = interval_at(Instant::now() + self.renewal(), self.renewal());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut first = Ok(());
        loop {
            let now = Instant::now();
            self.settling.start(now);
            if now >= deadline || self.running.is_empty() && self.settling.is_idle() {
                break;
            }
            let wake = Some(self.settling.again_at().map_or(deadline, |at| at.min(deadline)));
            let happened = tokio::select! {
                settled = self.settling.answered(), if self.settling.is_under_way() => Happened::Settled(settled),
                Some(joined) = self.running.join_next() => Happened::Called(joined),
                extended = extended(&mut self.extending) => Happened::Extended(extended),
                _ = ticks.tick() => Happened::Tick,
                answer = &mut closing, if closed.is_none() => {
                    closed = Some(answer);
                    Happened::Nothing
                }
                () = until(wake) => Happened::Nothing,
            };
            first = first.and(self.progress(happened));
        }
        let unfinished = self.running.len();
        if unfinished > 0 {
            let group = &self.surroundings.group;
            tracing::warn!(%group, unfinished, "handlers did not end in time and are dropped; their messages come back");
            self.running.shutdown().await;
        }
        first = first.and(self.settle_last(deadline + MARGIN).await);
        self.held.give_up();
        if self.held.len() > 0 {
            // Nobody is left who would settle it: it comes back now, and not at the end of the time it was given.
            drop(closing);
            let now = Instant::now();
            closed = timeout_at(now + MARGIN, self.settling.settler().close(now.into_std())).await.ok();
        } else if closed.is_none() {
            closed = timeout_at(deadline + 2 * MARGIN, closing).await.ok();
        }
        if let Some(Err(error)) = closed {
            tracing::warn!(group = %self.surroundings.group, %error, "the broker may not have heard that a member left");
        }
        first
    }

    /// What was answered just before the deadline.
    async fn settle_last(&mut self, deadline: Instant) -> Result<(), RunError> {
        while !self.settling.is_idle() {
            self.settling.start(Instant::now());
            if !self.settling.is_under_way() {
                // What the broker has not taken by now comes back.
                break;
            }
            match timeout_at(deadline, self.settling.answered()).await {
                Ok(settled) => self.settled(settled)?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Gives back what waits for a batch and comes from these slices.
    pub(super) fn give_back(&mut self, slices: &[Slice]) {
        self.give_back_gathered(|delivery| held::is_of(delivery, slices));
    }

    fn give_back_gathered(&mut self, which: impl Fn(&mainspring_broker::Delivery) -> bool) {
        let Some(gathering) = &mut self.gathering else { return };
        let (back, stay) = std::mem::take(&mut gathering.deliveries).into_iter().partition(|delivery| which(delivery));
        gathering.deliveries = stay;
        if gathering.deliveries.is_empty() {
            gathering.since = None;
        }
        let back: Vec<_> = back;
        for delivery in back {
            self.decided(&delivery, Outcome::Release, None);
        }
        self.meter.note(self.noted.drain(..));
    }
}
