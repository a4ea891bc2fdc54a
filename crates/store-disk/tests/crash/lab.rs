//! A store on a simulated disk, and what it answers in one word.

use std::sync::Arc;

use futures_util::future::join_all;
use mainspring_conformance::{ManualClock, Seed};
use mainspring_event::EventId;
use mainspring_sim::SimDisk;
use mainspring_store::{Append, AppendError, EventStore};
use mainspring_store_disk::{DiskStore, Options};

use crate::kit::{all, clock, event, in_place};

pub(crate) const LOG: &str = "00000001.log";

/// A store on a simulated disk.
pub(crate) struct Lab {
    pub(crate) disk: SimDisk,
    pub(crate) store: DiskStore,
    seed: Seed,
}

impl Lab {
    pub(crate) fn new(seed: u64, options: fn(u64, &Arc<ManualClock>) -> Options) -> Self {
        Self::aligned(1, seed, options)
    }

    /// On a disk that takes logs in blocks of so many bytes.
    pub(crate) fn aligned(alignment: usize, seed: u64, options: fn(u64, &Arc<ManualClock>) -> Options) -> Self {
        let disk = SimDisk::new(seed);
        disk.align_logs(alignment);
        let store = options(8192, &clock()).open_on(Arc::new(disk.clone())).unwrap();
        Self { disk, store, seed: Seed::new(seed) }
    }

    pub(crate) fn single(&mut self, name: &str) -> Append {
        self.sized(name, 50)
    }

    pub(crate) fn sized(&mut self, name: &str, payload: usize) -> Append {
        Append::new([event(&mut self.seed, name, payload)])
    }

    /// Sends them together, to be written together.
    pub(crate) async fn together(&self, appends: &[&Append]) -> Vec<Answer> {
        let answers = appends.iter().map(|append| self.store.append((*append).clone()));
        join_all(answers).await.into_iter().map(Answer::from).collect()
    }

    pub(crate) async fn one(&self, append: &Append) -> Answer {
        self.store.append(append.clone()).await.into()
    }

    pub(crate) async fn ids(&self) -> Vec<EventId> {
        all(&self.store).await.iter().map(|stored| stored.event.id).collect()
    }

    /// Closes the store as far as that goes, and opens what is there.
    pub(crate) fn reopened(self) -> Self {
        let Self { disk, store, seed } = self;
        drop(store);
        disk.heal();
        let store = in_place(8192, &clock()).open_on(Arc::new(disk.clone())).unwrap();
        Self { disk, store, seed }
    }
}

/// An answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Ok,
    Conflict,
    Failed,
    Unknown,
    Other,
}

impl<T> From<Result<T, AppendError>> for Answer {
    fn from(answer: Result<T, AppendError>) -> Self {
        match answer {
            Ok(_) => Self::Ok,
            Err(AppendError::Conflict(_)) => Self::Conflict,
            Err(AppendError::Failed(_)) => Self::Failed,
            Err(AppendError::Unknown(_)) => Self::Unknown,
            Err(_) => Self::Other,
        }
    }
}
