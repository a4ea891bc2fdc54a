//! Running subscriptions: their loops are owned here, and the first that ends stops the others.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use mainspring_broker::Group;
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
};

use crate::{
    Metrics, RunError,
    metrics::{Meter, Sample},
    worker::{Worker, panic_message},
};

/// Subscriptions that have been set up. Run it.
#[must_use = "nothing is handled until it is run"]
pub struct Runner {
    pub(crate) workers: Vec<Worker>,
    pub(crate) grace: Duration,
    /// Keeps the settings of the loops changeable.
    pub(crate) controls: Controls,
}

/// What can be asked of subscriptions and changed about them while they run. Cheap to clone.
#[derive(Clone)]
pub struct Controls(Arc<BTreeMap<Group, Control>>);

pub(crate) struct Control {
    pub(crate) meter: Meter,
    pub(crate) setting: watch::Sender<Setting>,
}

/// What can be changed about a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) concurrency: usize,
    pub(crate) paused: bool,
}

/// There is no subscription of this group here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no subscription of the group `{0}` runs here")]
pub struct NoSubscription(pub String);

impl Controls {
    pub(crate) fn new(controls: BTreeMap<Group, Control>) -> Self {
        Self(Arc::new(controls))
    }

    /// What each subscription has done, by group.
    pub fn metrics(&self) -> Vec<Metrics> {
        self.0.values().map(|control| control.meter.read()).collect()
    }

    /// The same under the names by which metrics systems know it.
    pub fn samples(&self) -> Vec<Sample> {
        self.metrics().iter().flat_map(Metrics::samples).collect()
    }

    /// Changes how many handlers run at once, up to what is prefetched. Those that run go on.
    ///
    /// # Errors
    /// [`NoSubscription`].
    pub fn concurrency(&self, group: &str, handlers: usize) -> Result<(), NoSubscription> {
        self.change(group, |setting| setting.concurrency = handlers.max(1))
    }

    /// Asks for no more messages. Handlers that run go on.
    ///
    /// # Errors
    /// [`NoSubscription`].
    pub fn pause(&self, group: &str) -> Result<(), NoSubscription> {
        self.change(group, |setting| setting.paused = true)
    }

    /// Asks for messages again.
    ///
    /// # Errors
    /// [`NoSubscription`].
    pub fn resume(&self, group: &str) -> Result<(), NoSubscription> {
        self.change(group, |setting| setting.paused = false)
    }

    fn change(&self, group: &str, change: impl FnOnce(&mut Setting)) -> Result<(), NoSubscription> {
        let found = self.0.iter().find(|(known, _)| known.as_str() == group);
        let (_, control) = found.ok_or_else(|| NoSubscription(group.to_owned()))?;
        control.setting.send_modify(change);
        Ok(())
    }
}

impl Runner {
    /// Handles messages until `stop` completes. Then nothing more is fetched, handlers are waited for, and what they
    /// answered is settled; what is not finished comes back. The first subscription that fails stops the others in the
    /// same way.
    ///
    /// # Errors
    /// [`RunError`] says which subscription stopped, and why.
    ///
    /// # Cancel safety
    /// Dropping the future is like a crash: what was not settled comes back.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let (stopping, stopped) = watch::channel(false);
        let mut running = Running { groups: Vec::new(), loops: JoinSet::new() };
        for worker in self.workers {
            let group = worker.surroundings().group.clone();
            let task = running.loops.spawn(worker.run(stopped.clone(), self.grace));
            running.groups.push((task.id(), group));
        }
        let first = tokio::select! {
            biased;
            () = stop => Ok(()),
            ended = running.next() => ended,
        };
        stopping.send_replace(true);
        let mut result = first;
        while !running.loops.is_empty() {
            result = result.and(running.next().await);
        }
        // The settings are changeable for as long as the loops look at them.
        drop(self.controls);
        result
    }
}

/// The loops of the subscriptions.
struct Running {
    groups: Vec<(Id, Group)>,
    loops: JoinSet<Result<(), RunError>>,
}

impl Running {
    /// Waits for the next loop that ends; for ever where there is none.
    async fn next(&mut self) -> Result<(), RunError> {
        match self.loops.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(error)) => Err(self.panicked(error)),
            None => std::future::pending().await,
        }
    }

    fn panicked(&self, error: JoinError) -> RunError {
        let group = self.groups.iter().find(|(id, _)| *id == error.id()).map(|(_, group)| group.clone());
        let group = group.expect("every loop was named when it was spawned");
        let unknown = error.to_string();
        let message = error.try_into_panic().map_or(unknown, |panic| panic_message(&*panic));
        RunError::Panicked { group, message }
    }
}
