//! What an operator asks of the broker of another process.

use async_trait::async_trait;
use bytes::Bytes;
use mainspring_broker::{Admin, BrokerError, Group, GroupStatus, Pending, Resume, Scheduled};

use super::{SocketBroker, confused};
use crate::protocol::{Reply, Request};

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

    async fn purge(&self, group: &Group) -> Result<u64, BrokerError> {
        self.count(Request::Purge(group.clone())).await
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
