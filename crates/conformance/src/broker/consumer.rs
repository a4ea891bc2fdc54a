//! A member under test.

use std::{future::poll_fn, ops::Deref, sync::Arc, task::Poll, time::Duration};

use mainspring_broker::{Deliveries, Delivery, Handover, Limit, Next, Outcome, SettleError, Settler, Slice};
use tokio::time;

use super::{Member, sample::bodies};

/// As many as a law ever asks for at once.
pub(crate) const MANY: Limit = Limit { messages: 10_000, bytes: usize::MAX };

/// A member under test. Its methods panic where the broker does what no law allows.
pub(crate) struct Consumer {
    pub(crate) deliveries: Box<dyn Deliveries>,
    settling: Settling,
    patience: Duration,
    lull: Duration,
}

/// The half of a member that answers, which tasks may share.
pub(crate) struct Settling {
    pub(crate) settler: Arc<dyn Settler>,
    patience: Duration,
}

impl Deref for Consumer {
    type Target = Settling;

    fn deref(&self) -> &Settling {
        &self.settling
    }
}

impl Consumer {
    pub(crate) fn new(
        deliveries: Box<dyn Deliveries>,
        settler: Arc<dyn Settler>,
        patience: Duration,
        lull: Duration,
    ) -> Self {
        Self { deliveries, settling: Settling { settler, patience }, patience, lull }
    }

    pub(crate) fn into_member(self) -> Member {
        Member { deliveries: self.deliveries, settler: self.settling.settler }
    }

    /// What happens next, which must come.
    pub(crate) async fn next(&mut self, max: Limit) -> Next {
        let next = time::timeout(self.patience, self.deliveries.next(max)).await;
        let next = next.unwrap_or_else(|_| panic!("a member waited {:?} in vain for what comes next", self.patience));
        let next = next.expect("an open broker goes on delivering");
        if let Next::Batch(batch) = &next {
            assert!(!batch.is_empty(), "a batch has at least one message");
            assert!(batch.len() <= max.messages, "a batch has {} messages of {}", batch.len(), max.messages);
            assert!(batch.iter().all(|delivery| delivery.attempt > 0), "attempts count from 1");
        }
        next
    }

    /// The next batch, which must come; what comes of slices before it is as it should be.
    pub(crate) async fn batch(&mut self, max: Limit) -> Vec<Delivery> {
        loop {
            match self.next(max).await {
                Next::Batch(batch) => return batch,
                Next::Assigned(_) => {}
                Next::Revoking(handover) => handover.complete(),
                other => panic!("messages must come, not {other:?}"),
            }
        }
    }

    /// One message.
    pub(crate) async fn one(&mut self) -> Delivery {
        self.batch(Limit::messages(1)).await.remove(0)
    }

    /// So many messages, in as many batches as it takes.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Delivery> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.extend(self.batch(Limit::messages(count - taken.len())).await);
        }
        taken
    }

    /// The bodies of so many messages, each acknowledged before the next is taken.
    pub(crate) async fn handle(&mut self, count: usize) -> Vec<String> {
        let mut handled = Vec::new();
        for _ in 0..count {
            let delivery = self.one().await;
            self.ack(&delivery).await;
            handled.extend(bodies([&delivery]));
        }
        handled
    }

    /// Listens for a while; no message may come.
    pub(crate) async fn gets_nothing(&mut self) {
        loop {
            match time::timeout(self.lull, self.deliveries.next(MANY)).await {
                Err(_) => return,
                Ok(Ok(Next::Assigned(_))) => {}
                Ok(other) => panic!("nothing may come, but there is {other:?}"),
            }
        }
    }

    /// Polls once for what comes next and gives up. What was there already is not lost to the law.
    pub(crate) async fn glance(&mut self, max: Limit) -> Option<Next> {
        let mut next = self.deliveries.next(max);
        let polled = poll_fn(|context| Poll::Ready(next.as_mut().poll(context))).await;
        match polled {
            Poll::Ready(next) => Some(next.expect("an open broker goes on delivering")),
            Poll::Pending => None,
        }
    }

    /// What comes next, if it is there or comes in a moment.
    pub(crate) async fn if_ready(&mut self, max: Limit) -> Option<Next> {
        let next = time::timeout(Duration::from_millis(1), self.deliveries.next(max)).await.ok()?;
        Some(next.expect("an open broker goes on delivering"))
    }

    /// The slices that it is assigned next.
    pub(crate) async fn assigned(&mut self) -> Vec<Slice> {
        match self.next(MANY).await {
            Next::Assigned(slices) => slices,
            other => panic!("slices must be assigned, not {other:?}"),
        }
    }

    /// The slices that it is to give up next.
    pub(crate) async fn revoked(&mut self) -> Handover {
        match self.next(MANY).await {
            Next::Revoking(handover) => handover,
            other => panic!("slices must be revoked, not {other:?}"),
        }
    }
}

impl Settling {
    /// Settles one delivery; says whether it counted.
    pub(crate) async fn settles(&self, delivery: &Delivery, outcome: Outcome) -> Result<(), SettleError> {
        let settled = self.settler.settle(vec![(delivery.tag, outcome)]);
        let mut answers = time::timeout(self.patience, settled).await.expect("a settlement is answered");
        assert_eq!(answers.len(), 1, "there is an answer for each settlement");
        answers.remove(0)
    }

    /// Settles one delivery, which must count.
    pub(crate) async fn settle(&self, delivery: &Delivery, outcome: Outcome) {
        let described = format!("{outcome:?}");
        let answer = self.settles(delivery, outcome).await;
        answer.unwrap_or_else(|error| panic!("{described} must count, but: {error:?}"));
    }

    /// Acknowledges one delivery.
    pub(crate) async fn ack(&self, delivery: &Delivery) {
        self.settle(delivery, Outcome::Ack).await;
    }

    /// Acknowledges several deliveries.
    pub(crate) async fn ack_all(&self, deliveries: &[Delivery]) {
        for delivery in deliveries {
            self.ack(delivery).await;
        }
    }

    /// Has one delivery tried again at once.
    pub(crate) async fn retry(&self, delivery: &Delivery) {
        self.settle(delivery, Outcome::Retry { after: Duration::ZERO }).await;
    }

    /// Gives one delivery up.
    pub(crate) async fn bury(&self, delivery: &Delivery, reason: &str) {
        self.settle(delivery, Outcome::DeadLetter { reason: reason.to_owned() }).await;
    }

    /// Sees that a delivery has ended for this member.
    pub(crate) async fn assert_stale(&self, delivery: &Delivery) {
        for outcome in [
            Outcome::Ack,
            Outcome::Retry { after: Duration::ZERO },
            Outcome::DeadLetter { reason: "late".to_owned() },
            Outcome::Release,
        ] {
            let described = format!("{outcome:?}");
            let answer = self.settles(delivery, outcome).await;
            assert!(matches!(answer, Err(SettleError::Stale)), "{described} of a stale delivery: {answer:?}");
        }
    }
}
