//! What operators ask.

use async_trait::async_trait;
use mainspring_broker::{Admin, BrokerError, Group, GroupStatus, Pending, Resume, Scheduled};
use tokio::sync::oneshot;

use crate::{
    broker::EmbeddedBroker,
    keeper::{read_stretch, read_waiting},
    loading::read_messages,
    state::State,
};

/// So many messages are read at once to be shown.
const SHOWN: u64 = 512;

#[async_trait]
impl Admin for EmbeddedBroker {
    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError> {
        self.shared().open(|state| {
            let status = |group: &usize| {
                let group = &state.groups[*group];
                group.status(|slice| {
                    let (topic, partition) = group.slices[slice];
                    state.topics[topic].partitions[partition].stored
                })
            };
            state.group_of.values().map(status).collect()
        })
    }

    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError> {
        let shared = self.shared();
        let at = shared.open(|state| state.group(group))??;
        let slices = shared.lock().groups[at].slices.len();
        let mut pending = Vec::new();
        for slice in 0..slices {
            let mut offset = shared.lock().first_unsettled(at, slice, 0);
            while let Some(from) = offset.filter(|_| pending.len() < limit) {
                let (stream, named, stored) = shared.lock().stream_of(at, slice);
                let count = SHOWN.min(stored - from);
                let read = read_messages(&shared.store, &named, &stream, from, count).await;
                let messages = read.map_err(|error| BrokerError::Failed(error.into()))?;
                offset = shared.change(|state| {
                    for stored in &messages {
                        if pending.len() < limit {
                            pending.extend(state.show(at, slice, stored));
                        }
                    }
                    let next = messages.last().map_or(stored, |last| last.place.offset + 1);
                    state.first_unsettled(at, slice, next)
                });
            }
        }
        Ok(pending)
    }

    async fn purge(&self, group: &Group) -> Result<u64, BrokerError> {
        let (answer, answered) = oneshot::channel();
        self.shared().open(|state| {
            let group = state.group(group)?;
            state.purge(group, answering(answer));
            Ok(())
        })??;
        answered.await.unwrap_or(Err(BrokerError::Closed))
    }

    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError> {
        let shared = self.shared();
        let failed = |error: mainspring_store::ReadError| BrokerError::Failed(error.into());
        let tickets = loop {
            let (tickets, complete) = shared.open(|state| state.schedule.next(limit))?;
            if complete {
                break tickets;
            }
            match shared.change(|state| state.schedule.must_read(state.now, true)) {
                Some((stretch, stored)) => read_stretch(shared, stretch, stored).await.map_err(failed)?,
                // Somebody else reads it.
                None => tokio::task::yield_now().await,
            }
        };
        let waiting = read_waiting(shared, &tickets).await.map_err(failed)?;
        let shown = tickets.iter().zip(waiting);
        Ok(shown.map(|(ticket, waited)| Scheduled { message: waited.decoded.message, due: ticket.due }).collect())
    }

    async fn resume(&self, group: &Group, key: &[u8], how: Resume) -> Result<u64, BrokerError> {
        let (answer, answered) = oneshot::channel();
        self.shared().open(|state| state.resume(group, key, how, answering(answer)))?;
        answered.await.unwrap_or(Err(BrokerError::Closed))
    }
}

/// Answers whoever still waits.
fn answering<T: Send + 'static>(answer: oneshot::Sender<T>) -> Box<dyn FnOnce(T) + Send> {
    Box::new(move |came| {
        // Nobody needs to wait for it.
        let _ = answer.send(came);
    })
}

impl State {
    /// The first message from `from` on that a group has not settled, if one is stored.
    fn first_unsettled(&self, group: usize, slice: usize, from: u64) -> Option<u64> {
        let (topic, partition) = self.groups[group].slices[slice];
        let partition = &self.topics[topic].partitions[partition];
        let cursor = &self.groups[group].cursors[slice];
        let offset = cursor.done.first_gap(from.max(cursor.floor).max(partition.first));
        (offset < partition.stored).then_some(offset)
    }

    fn stream_of(&self, group: usize, slice: usize) -> (mainspring_event::StreamName, mainspring_broker::Slice, u64) {
        let (topic, partition) = self.groups[group].slices[slice];
        let partition = &self.topics[topic].partitions[partition];
        (partition.stream.clone(), partition.slice.clone(), partition.stored)
    }

    /// How a message stands, unless the group has settled it or does not want it, or holds it as a dead letter.
    fn show(&self, group: usize, slice: usize, stored: &crate::topic::Stored) -> Option<Pending> {
        let state = &self.groups[group];
        let topic = &self.topics[state.slices[slice].0];
        let offset = stored.place.offset;
        let cursor = &state.cursors[slice];
        if cursor.is_settled(offset) || !state.wants(&stored.message) || topic.has_removed(stored, self.now) {
            return None;
        }
        let item = state.items.iter().map(|(_, item)| item).find(|item| item.slice == slice && item.offset() == offset);
        let tried = item.map(|item| item.tried()).or_else(|| cursor.tried.get(&offset).copied()).unwrap_or_default();
        let in_flight = item.is_some_and(|item| item.is_held());
        let (message, place) = (stored.message.clone(), Some(stored.place.clone()));
        (!tried.dead).then_some(Pending { message, place, attempts: tried.attempts, in_flight })
    }
}
