//! What an operator asks of the broker of another process.

use async_trait::async_trait;
use bytes::Bytes;
use mainspring_broker::{
    Admin, BrokerError, Group, GroupStatus, Message, Pending, Place, Receipt, Resume, ScheduleId, Scheduled,
    TopicStatus,
};

use super::{SocketBroker, confused};
use crate::protocol::{MAX_BATCH, Reply, Request};

impl SocketBroker {
    async fn count(&self, request: Request) -> Result<u64, BrokerError> {
        match self.ask(request).await? {
            Reply::Count(answer) => answer,
            _ => Err(confused()),
        }
    }
}

/// Lists have at most 10,000 entries here, and no more than 24 MiB hold.
#[async_trait]
impl Admin for SocketBroker {
    async fn topics(&self) -> Result<Vec<TopicStatus>, BrokerError> {
        match self.ask(Request::Topics).await? {
            Reply::Topics(answer) => answer,
            _ => Err(confused()),
        }
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError> {
        match self.ask(Request::Groups).await? {
            Reply::Groups(answer) => answer,
            _ => Err(confused()),
        }
    }

    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError> {
        match self.ask(Request::Browse(group.clone(), limit)).await? {
            Reply::Pending(answer) => answer,
            _ => Err(confused()),
        }
    }

    async fn find(&self, group: &Group, place: &Place) -> Result<Option<Pending>, BrokerError> {
        match self.ask(Request::Find(group.clone(), place.clone())).await? {
            Reply::Found(answer) => answer.map(|found| found.map(|found| *found)),
            _ => Err(confused()),
        }
    }

    async fn purge(&self, group: &Group) -> Result<u64, BrokerError> {
        self.count(Request::Purge(group.clone())).await
    }

    async fn remove(&self, group: &Group, places: &[Place]) -> Result<u64, BrokerError> {
        let mut parts = places.chunks(MAX_BATCH.messages);
        // An empty list is asked, too: the group may not exist.
        let first = parts.next().unwrap_or_default();
        let mut removed = self.count(Request::Remove(group.clone(), first.to_vec())).await?;
        for part in parts {
            removed += self.count(Request::Remove(group.clone(), part.to_vec())).await?;
        }
        Ok(removed)
    }

    async fn resubmit(&self, from: &Group, place: &Place, message: Message) -> Result<Receipt, BrokerError> {
        match self.ask(Request::Resubmit(from.clone(), place.clone(), message.into())).await? {
            Reply::Resubmitted(answer) => answer,
            _ => Err(confused()),
        }
    }

    async fn cancel(&self, id: &ScheduleId) -> Result<bool, BrokerError> {
        match self.ask(Request::Cancel(id.clone())).await? {
            Reply::Cancelled(answer) => answer,
            _ => Err(confused()),
        }
    }

    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError> {
        match self.ask(Request::Schedules(limit)).await? {
            Reply::Scheduled(answer) => answer,
            _ => Err(confused()),
        }
    }

    async fn resume(&self, group: &Group, key: &[u8], how: Resume) -> Result<u64, BrokerError> {
        self.count(Request::Resume(group.clone(), Bytes::copy_from_slice(key), how)).await
    }
}
