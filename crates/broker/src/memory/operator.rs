//! What operators ask of the model.

use async_trait::async_trait;

use super::{
    MemoryBroker,
    choice::order_key,
    group::{Item, READY, Status},
};
use crate::{Admin, BrokerError, Group, GroupStatus, Pending, Resume, Scheduled};

#[async_trait]
impl Admin for MemoryBroker {
    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError> {
        self.connected(|state| state.groups.values().map(|group| group.status()).collect())
    }

    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError> {
        let pending = |item: &Item| Pending {
            message: item.stored.message.clone(),
            place: Some(item.stored.place.clone()),
            attempts: item.attempts,
            in_flight: item.is_held(),
        };
        let browsed = self.connected(|state| {
            let items = state.groups.get(group)?.items.values().filter(|item| item.status != Status::Dead);
            Some(items.take(limit).map(pending).collect())
        });
        browsed?.ok_or_else(|| BrokerError::NoGroup(group.clone()))
    }

    async fn purge(&self, group: &Group) -> Result<u64, BrokerError> {
        let purged = self.connected(|state| {
            let items = &mut state.groups.get_mut(group)?.items;
            let before = items.len();
            items.retain(|_, item| item.is_held());
            Some((before - items.len()) as u64)
        });
        purged?.ok_or_else(|| BrokerError::NoGroup(group.clone()))
    }

    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError> {
        self.connected(|state| {
            let due = state.scheduled.iter().take(limit);
            due.map(|((due, _), (message, _))| Scheduled { message: message.clone(), due: *due }).collect()
        })
    }

    async fn resume(&self, group: &Group, key: &[u8], how: Resume) -> Result<u64, BrokerError> {
        self.connected(|state| {
            let state = state.groups.get_mut(group).ok_or_else(|| BrokerError::NoGroup(group.clone()))?;
            let has_key = |item: &Item| order_key(item).is_some_and(|(_, other)| other == key);
            let dead = state.items.iter().find(|(_, item)| item.status == Status::Dead && has_key(item));
            let Some((&number, _)) = dead else {
                return Err(BrokerError::Invalid { reason: format!("group `{group}` does not hold the key") });
            };
            let waiting = state.items.range(number + 1..).filter(|(_, item)| has_key(item)).count() as u64;
            match (how, state.items.get_mut(&number)) {
                (Resume::Resubmit, Some(item)) => {
                    (item.attempts, item.first_attempt, item.status) = (0, None, READY);
                }
                _ => drop(state.items.remove(&number)),
            }
            Ok(waiting)
        })?
    }
}
