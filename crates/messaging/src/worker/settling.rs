//! Settlements on their way: many in one call, the next ones gathered meanwhile, and what did not work tried again.

use std::{sync::Arc, time::Duration};

use mainspring_broker::{DeliveryTag, Outcome, SettleError, Settler};
use tokio::time::Instant;

use crate::BoxFuture;

/// The first wait before settlements are repeated; each later one is twice as long, up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

type Outcomes = Vec<(DeliveryTag, Outcome)>;
type Answers = Vec<Result<(), SettleError>>;

pub(super) struct Settling {
    settler: Arc<dyn Settler>,
    due: Outcomes,
    under_way: Option<BoxFuture<'static, (Outcomes, Answers)>>,
    again: Outcomes,
    again_at: Option<Instant>,
    setbacks: u32,
}

/// What a call of `settle` came to.
#[derive(Default)]
pub(super) struct Settled {
    /// These deliveries have ended.
    pub(super) ended: Vec<DeliveryTag>,
    /// Of these, how many had ended before.
    pub(super) stale: u64,
    /// These are settled again.
    pub(super) repeated: u64,
    /// The broker will never take this one.
    pub(super) refused: Option<SettleError>,
}

impl Settling {
    pub(super) fn new(settler: Arc<dyn Settler>) -> Self {
        Self { settler, due: Vec::new(), under_way: None, again: Vec::new(), again_at: None, setbacks: 0 }
    }

    pub(super) fn settler(&self) -> &Arc<dyn Settler> {
        &self.settler
    }

    pub(super) fn add(&mut self, tag: DeliveryTag, outcome: Outcome) {
        self.due.push((tag, outcome));
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether everything is settled that was to be.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_none() && self.due.is_empty() && self.again.is_empty()
    }

    /// When something is to be repeated.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.again_at
    }

    /// Begins to settle what is due, unless a call is under way: what is due meanwhile goes with the next.
    pub(super) fn start(&mut self, now: Instant) {
        if self.under_way.is_some() {
            return;
        }
        if self.again_at.is_some_and(|at| at <= now) {
            self.again_at = None;
            self.due.append(&mut self.again);
        }
        if self.due.is_empty() {
            return;
        }
        let (settler, outcomes) = (self.settler.clone(), std::mem::take(&mut self.due));
        self.due.reserve(outcomes.len());
        self.under_way = Some(Box::pin(async move {
            let answers = settler.settle(outcomes.clone()).await;
            (outcomes, answers)
        }));
    }

    /// Waits for the call that is under way; for ever where there is none.
    pub(super) async fn answered(&mut self) -> Settled {
        let Some(call) = &mut self.under_way else { return std::future::pending().await };
        let (outcomes, answers) = call.await;
        self.under_way = None;
        self.sort(outcomes, answers)
    }

    fn sort(&mut self, outcomes: Outcomes, answers: Answers) -> Settled {
        let mut settled = Settled { ended: Vec::with_capacity(outcomes.len()), ..Settled::default() };
        let mut answers = answers.into_iter();
        for (tag, outcome) in outcomes {
            match answers.next() {
                Some(Ok(())) => settled.ended.push(tag),
                Some(Err(SettleError::Stale)) => {
                    settled.stale += 1;
                    settled.ended.push(tag);
                }
                Some(Err(refused @ (SettleError::Refused { .. } | SettleError::TooLarge { .. }))) => {
                    settled.refused = Some(refused);
                }
                // It is still our own, and nothing is known to have happened: the same again. If it did count, the
                // answer is that it is stale. A broker that says too little is asked again, too.
                Some(Err(_)) | None => {
                    settled.repeated += 1;
                    self.again.push((tag, outcome));
                }
            }
        }
        if settled.repeated == 0 {
            self.setbacks = 0;
        } else {
            let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.setbacks)).min(LONGEST_WAIT);
            self.setbacks = self.setbacks.saturating_add(1);
            self.again_at = Some(Instant::now() + wait);
        }
        settled
    }
}

/// Waits until `at`; for ever where there is none.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
