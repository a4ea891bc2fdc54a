//! What the tests share: a broker on a directory, a message, and waiting for conditions.

use std::{path::Path, sync::Arc, time::Duration};

use mainspring_broker::{Broker, DeadLetter, GroupStatus};
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_event::Event;
use mainspring_store::Store;
use mainspring_store_disk::DiskStore;
use serde::{Deserialize, Serialize};

use super::processes::DEADLINE;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
pub(crate) struct Placed {
    pub(crate) order: u64,
}

pub(crate) fn open_store(directory: &Path) -> Store {
    Store::new(DiskStore::open(directory.join("store")).unwrap())
}

pub(crate) async fn open(directory: &Path) -> Arc<EmbeddedBroker> {
    Arc::new(EmbeddedBroker::open(open_store(directory)).await.unwrap())
}

pub(crate) async fn status(broker: &EmbeddedBroker, group: &str) -> GroupStatus {
    let groups = broker.admin().unwrap().groups().await.unwrap();
    groups.into_iter().find(|status| status.group.as_str() == group).unwrap()
}

/// How many messages the group has not settled.
pub(crate) async fn lag(broker: &EmbeddedBroker, group: &str) -> u64 {
    status(broker, group).await.lag
}

pub(crate) async fn dead_letters(broker: &EmbeddedBroker, group: &str) -> Vec<DeadLetter> {
    let group = format!("{group}.dead").parse().unwrap();
    let pending = broker.admin().unwrap().browse(&group, 100_000).await.unwrap();
    pending.iter().map(|pending| DeadLetter::read(&pending.message).unwrap()).collect()
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let held = async {
            while !condition().await {
                looks.tick().await;
            }
        };
        tokio::time::timeout(DEADLINE, held).await.unwrap_or_else(|_| panic!("never: {caller}"));
    }
}
