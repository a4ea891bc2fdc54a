//! A view in memory that suspends wherever it can and fails as it is told: it has every freedom that the contract of
//! [`View`] leaves to a database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainspring_event::{Event, Recorded};
use mainspring_projection::{Generation, Opened, Projection, View};
use mainspring_retry::Failure;
use mainspring_store::Checkpoint;
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;

/// The committed rows with their checkpoint, and a commit whose caller went away before it was done.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rows: Vec<u64>,
    checkpoint: Option<Checkpoint>,
    under_way: Option<(Vec<u64>, Checkpoint)>,
    commits: u32,
    /// What happens to every commit whose number this divides.
    fault: Option<(u32, Fault)>,
}

/// How a commit fails.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing was committed.
    Lost,
    /// It was committed, but the answer was lost.
    Unanswered,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
pub(crate) struct LedgerError(Fault);

impl Ledger {
    pub(crate) fn failing(every: u32, fault: Fault) -> Self {
        let ledger = Self::default();
        ledger.lock().fault = Some((every, fault));
        ledger
    }

    pub(crate) fn rows(&self) -> Vec<u64> {
        self.lock().rows.clone()
    }

    /// How often a commit was asked for.
    pub(crate) fn commits(&self) -> u32 {
        self.lock().commits
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A commit that was begun comes to its end, whoever waits for it.
    fn settle(&mut self) {
        if let Some((rows, checkpoint)) = self.under_way.take() {
            self.rows.extend(rows);
            self.checkpoint = Some(checkpoint);
        }
    }
}

impl View for Ledger {
    type Model = Generation;
    type Tx = Vec<u64>;
    type Writer = Vec<u64>;
    type Reader = Self;
    type Error = LedgerError;

    async fn open(&self, _: &'static str, version: u32) -> Result<Opened<Generation>, LedgerError> {
        yield_now().await;
        Ok(Opened::Settled(Generation { version, number: 1 }))
    }

    fn generation(model: &Generation) -> Generation {
        *model
    }

    fn reader(_: &Generation) -> Self {
        Self::default()
    }

    /// May be older than a commit under way.
    async fn checkpoint(&self, _: &Generation) -> Result<Option<Checkpoint>, LedgerError> {
        yield_now().await;
        Ok(self.lock().checkpoint)
    }

    async fn begin(&self, _: &Generation) -> Result<(Vec<u64>, Option<Checkpoint>), LedgerError> {
        yield_now().await;
        let mut state = self.lock();
        state.settle();
        Ok((Vec::new(), state.checkpoint))
    }

    fn writer(tx: &mut Vec<u64>) -> &mut Vec<u64> {
        tx
    }

    async fn commit(&self, tx: Vec<u64>, checkpoint: Checkpoint) -> Result<(), LedgerError> {
        yield_now().await;
        let fault = {
            let mut state = self.lock();
            state.commits += 1;
            let commits = state.commits;
            let fault = state.fault.filter(|(every, _)| commits.is_multiple_of(*every)).map(|(_, fault)| fault);
            if !matches!(fault, Some(Fault::Lost)) {
                state.under_way = Some((tx, checkpoint));
            }
            fault
        };
        yield_now().await;
        if let Some(fault) = fault {
            return Err(LedgerError(fault));
        }
        self.lock().settle();
        Ok(())
    }

    async fn promote(&self, _: &Generation) -> Result<(), LedgerError> {
        Ok(())
    }

    async fn rebuild(&self, _: &str) -> Result<(), LedgerError> {
        Ok(())
    }
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
pub(crate) struct Paid {
    pub(crate) cents: u64,
}

/// Writes the position of each payment.
pub(crate) struct Payments;

impl Projection for Payments {
    const NAME: &'static str = "payments";
    const VERSION: u32 = 1;
    type View = Ledger;
    type Event = Paid;

    async fn create(&self, _: &mut Vec<u64>) -> Result<(), Failure> {
        Ok(())
    }

    async fn apply(&self, rows: &mut Vec<u64>, paid: &Recorded<Paid>) -> Result<(), Failure> {
        yield_now().await;
        rows.push(paid.position().0);
        Ok(())
    }
}
