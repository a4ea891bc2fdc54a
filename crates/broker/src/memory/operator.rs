//! What operators ask of the model.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    MemoryBroker,
    choice::order_key,
    group::{Item, READY, Status},
};
use crate::{
    Admin, BrokerError, Group, GroupStatus, Message, Pending, Place, Receipt, Resume, ScheduleId, Scheduled, Slice,
    TopicStatus,
};

#[async_trait]
impl Admin for MemoryBroker {
    async fn topics(&self) -> Result<Vec<TopicStatus>, BrokerError> {
        self.connected(|state| {
            let unsettled = |slice: &Slice| {
                let places =
                    state.groups.values().flat_map(|group| group.items.values()).map(|item| &item.stored.place);
                places.filter(|place| place.slice == *slice).map(|place| place.offset).min()
            };
            let topics = state.topics.values().map(|topic| {
                let slices = topic.slices().map(|slice| topic.status(&slice, unsettled(&slice))).collect();
                TopicStatus { topic: topic.spec.clone(), slices }
            });
            topics.collect()
        })
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError> {
        self.connected(|state| state.groups.values().map(|group| group.status()).collect())
    }

    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError> {
        let browsed = self.connected(|state| {
            let items = state.groups.get(group)?.items.values().filter(|item| item.status != Status::Dead);
            Some(items.take(limit).map(pending).collect())
        });
        browsed?.ok_or_else(|| BrokerError::NoGroup(group.clone()))
    }

    async fn find(&self, group: &Group, place: &Place) -> Result<Option<Pending>, BrokerError> {
        let found = self.connected(|state| {
            let mut items = state.groups.get(group)?.items.values().filter(|item| item.status != Status::Dead);
            Some(items.find(|item| item.stored.place == *place).map(pending))
        });
        found?.ok_or_else(|| BrokerError::NoGroup(group.clone()))
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

    async fn remove(&self, group: &Group, places: &[Place]) -> Result<u64, BrokerError> {
        let removed = self.connected(|state| {
            let items = &mut state.groups.get_mut(group)?.items;
            let before = items.len();
            items.retain(|_, item| !places.iter().any(|place| item.is_free_at(place)));
            Some((before - items.len()) as u64)
        });
        removed?.ok_or_else(|| BrokerError::NoGroup(group.clone()))
    }

    async fn resubmit(&self, from: &Group, place: &Place, message: Message) -> Result<Receipt, BrokerError> {
        let limits = &self.shared.capabilities.limits;
        limits.check(std::slice::from_ref(&message)).map_err(BrokerError::NotSent)?;
        self.connected(|state| {
            let items = &state.groups.get(from).ok_or_else(|| BrokerError::NoGroup(from.clone()))?.items;
            let found = items.iter().find(|(_, item)| item.is_free_at(place)).map(|(number, _)| *number);
            let Some(number) = found else {
                return Err(BrokerError::Invalid {
                    reason: format!("group `{from}` has nothing to resubmit at {place}"),
                });
            };
            let receipt = state.send_again(message).map_err(BrokerError::NotSent)?;
            if let Some(group) = state.groups.get_mut(from) {
                group.items.remove(&number);
            }
            Ok(receipt)
        })?
    }

    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError> {
        self.connected(|state| {
            let due = state.scheduled.iter().take(limit);
            let shown = due.map(|((due, number), (message, _))| {
                let id = ScheduleId::new(number.to_string());
                Scheduled { id, message: message.clone(), due: *due }
            });
            shown.collect()
        })
    }

    async fn cancel(&self, id: &ScheduleId) -> Result<bool, BrokerError> {
        self.connected(|state| {
            let named = |(_, number): &&(Timestamp, u64)| number.to_string() == id.as_str();
            let Some(at) = state.scheduled.keys().find(named).copied() else { return false };
            let Some((message, _)) = state.scheduled.remove(&at) else { return false };
            if let Some(topic) = state.topics.get_mut(&message.destination) {
                topic.forget(&message);
            }
            true
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

fn pending(item: &Item) -> Pending {
    let (message, place) = (item.stored.message.clone(), Some(item.stored.place.clone()));
    Pending { message, place, attempts: item.attempts, in_flight: item.is_held() }
}
