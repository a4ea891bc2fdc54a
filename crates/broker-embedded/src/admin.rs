//! What operators ask.

use std::{collections::HashMap, slice};

use async_trait::async_trait;
use mainspring_broker::{
    Admin, BrokerError, Group, GroupStatus, Keep, Message, Pending, Place, Receipt, Resume, ScheduleId, Scheduled,
    SliceStatus, TopicStatus,
};
use mainspring_store::ReadError;
use tokio::sync::oneshot;

use crate::{
    broker::EmbeddedBroker,
    browsing,
    entry::{Entry, Failure, Landed},
    keeper::{read_stretch, read_waiting},
    loading::read_messages,
    moving::Then,
    picking::{self, Becomes},
    schedule::{Found, Schedule, Ticket},
    sending::Prepared,
    shared::Shared,
    state::State,
    topic::id_of,
};

#[async_trait]
impl Admin for EmbeddedBroker {
    async fn topics(&self) -> Result<Vec<TopicStatus>, BrokerError> {
        let shared = self.shared();
        let mut topics = shared.open(|state| {
            let topics = state.topics.iter().enumerate();
            topics.map(|(at, topic)| (at, state.topic_status(at, topic.spec.clone()))).collect::<Vec<_>>()
        })?;
        for (at, status) in &mut topics {
            let is_limited = matches!(status.topic.keep, Keep::Log { max_age, max_bytes }
                if max_age.is_some() || max_bytes.is_some());
            for (partition, slice) in status.slices.iter_mut().enumerate().filter(|_| is_limited) {
                slice.first = first_kept(shared, (*at, partition)).await.map_err(unread)?;
            }
        }
        let mut topics: Vec<_> = topics.into_iter().map(|(_, status)| status).collect();
        topics.sort_by(|one, other| one.topic.name.cmp(&other.topic.name));
        Ok(topics)
    }

    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError> {
        let shared = self.shared();
        let limited = shared.open(|state| state.limited_slices())?;
        let mut kept = HashMap::new();
        for slice in limited {
            kept.insert(slice, first_kept(shared, slice).await.map_err(unread)?);
        }
        shared.open(|state| {
            let status = |group: &usize| {
                let group = &state.groups[*group];
                group.status(|slice| {
                    let (topic, partition) = group.slices[slice];
                    let of_slice = &state.topics[topic].partitions[partition];
                    let first = kept.get(&(topic, partition)).copied().unwrap_or(of_slice.first);
                    (first, of_slice.stored)
                })
            };
            state.group_of.values().map(status).collect()
        })
    }

    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError> {
        let at = self.shared().open(|state| state.group(group))??;
        browsing::browse(self.shared(), at, limit).await
    }

    async fn find(&self, group: &Group, place: &Place) -> Result<Option<Pending>, BrokerError> {
        let at = self.shared().open(|state| state.group(group))??;
        browsing::find(self.shared(), at, place).await
    }

    async fn purge(&self, group: &Group) -> Result<u64, BrokerError> {
        let turn = self.shared().moving.clone().lock_owned().await;
        let (done, answered) = answer();
        self.shared().open(|state| {
            let landed = move |result| {
                drop(turn);
                done(result);
            };
            state.purge(state.group(group)?, Box::new(landed));
            Ok(())
        })??;
        answered.await.unwrap_or(Err(BrokerError::Closed))
    }

    async fn remove(&self, group: &Group, places: &[Place]) -> Result<u64, BrokerError> {
        let shared = self.shared();
        let turn = shared.moving.clone().lock_owned().await;
        let at = shared.open(|state| state.group(group))??;
        let spots = picking::spots(shared, at, places).await?;
        let (done, answered) = answer();
        let count = shared.open(|state| {
            let picking = state.pick(at, &spots, Becomes::Removed, turn);
            let count = picking.len() as u64;
            if count > 0 {
                state.write_picked(picking, Vec::new(), done);
            }
            count
        })?;
        if count == 0 {
            return Ok(0);
        }
        answered.await.unwrap_or(Err(BrokerError::Closed)).map(|_| count)
    }

    async fn resubmit(&self, from: &Group, place: &Place, message: Message) -> Result<Receipt, BrokerError> {
        let shared = self.shared();
        let limits = shared.lock().capabilities.limits;
        limits.check(slice::from_ref(&message)).map_err(BrokerError::NotSent)?;
        let turn = shared.moving.clone().lock_owned().await;
        let at = shared.open(|state| state.group(from))??;
        let spots = picking::spots(shared, at, slice::from_ref(place)).await?;
        let prepared = Prepared::new(message, shared.clock.now());
        let (done, answered) = answer();
        shared.open(|state| {
            let message = state.prepare_again(prepared).map_err(BrokerError::NotSent)?;
            let picking = state.pick(at, &spots, Becomes::Removed, turn);
            if picking.len() == 0 {
                return Err(BrokerError::Invalid {
                    reason: format!("group `{from}` has nothing to resubmit at {place}"),
                });
            }
            state.write_picked(picking, vec![message], done);
            Ok(())
        })??;
        let receipts = answered.await.unwrap_or(Err(BrokerError::Closed))?;
        receipts.into_iter().next().ok_or(BrokerError::Closed)
    }

    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError> {
        let shared = self.shared();
        let tickets = loop {
            let (tickets, complete) = shared.open(|state| state.schedule.next(limit))?;
            if complete {
                break tickets;
            }
            match shared.change(|state| state.schedule.unread(state.now, true)) {
                Some((stretch, stored)) => read_stretch(shared, stretch, stored).await.map_err(unread)?,
                // Somebody else reads it.
                None => tokio::task::yield_now().await,
            }
        };
        let waiting = read_waiting(shared, &tickets).await.map_err(unread)?;
        let shown = tickets.iter().zip(waiting).map(|(ticket, waited)| {
            let message = waited.decoded.message;
            Scheduled { id: ticket.id(), message, due: ticket.due }
        });
        Ok(shown.collect())
    }

    async fn cancel(&self, id: &ScheduleId) -> Result<bool, BrokerError> {
        let shared = self.shared();
        let Some((stretch, version)) = Ticket::named(id) else { return Ok(false) };
        let ticket = loop {
            match shared.open(|state| state.schedule.find(stretch, version))? {
                Found::Waits(ticket) => break ticket,
                Found::ToRead(stored) => read_stretch(shared, stretch, stored).await.map_err(unread)?,
                Found::BeingRead => tokio::task::yield_now().await,
                Found::Nothing => return Ok(false),
            }
        };
        let waiting = read_waiting(shared, &[ticket]).await.map_err(unread)?;
        let (done, answered) = answer();
        let taken = shared.open(|state| {
            let taken = state.schedule.take(ticket);
            if taken {
                let messages = waiting.into_iter().map(|waited| waited.decoded.message).collect();
                state.cancel(ticket, messages, done);
            }
            taken
        })?;
        if !taken {
            return Ok(false);
        }
        answered.await.unwrap_or(Err(BrokerError::Closed)).map(|()| true)
    }

    async fn resume(&self, group: &Group, key: &[u8], how: Resume) -> Result<u64, BrokerError> {
        let shared = self.shared();
        let turn = shared.moving.clone().lock_owned().await;
        let at = shared.open(|state| state.group(group))??;
        let not_held = || BrokerError::Invalid { reason: format!("group `{group}` does not hold the key") };
        let (spot, behind) = picking::held(shared, at, key).await?.ok_or_else(not_held)?;
        let becomes = match how {
            Resume::Resubmit => Becomes::Anew,
            Resume::Skip => Becomes::Skipped,
        };
        let (done, answered) = answer();
        shared.open(|state| {
            let picking = state.pick(at, &[spot], becomes, turn);
            if picking.len() == 0 {
                return Err(not_held());
            }
            state.write_picked(picking, Vec::new(), done);
            Ok(())
        })??;
        answered.await.unwrap_or(Err(BrokerError::Closed)).map(|_| behind)
    }
}

/// What hears of the end of something, and who waits for that.
fn answer<T: Send + 'static>() -> (Then<T>, oneshot::Receiver<Result<T, BrokerError>>) {
    let (answer, answered) = oneshot::channel();
    let done = move |came| {
        // Nobody needs to wait for it.
        let _ = answer.send(came);
    };
    (Box::new(done), answered)
}

fn unread(error: ReadError) -> BrokerError {
    BrokerError::Failed(error.into())
}

/// The first message that a log keeps: both limits remove from the oldest on, so halving finds it.
pub(crate) async fn first_kept(shared: &Shared, (topic, partition): (usize, usize)) -> Result<u64, ReadError> {
    let (stream, slice, first, stored) = {
        let state = shared.lock();
        let of_slice = &state.topics[topic].partitions[partition];
        (of_slice.stream.clone(), of_slice.slice.clone(), of_slice.first, of_slice.stored)
    };
    let (mut low, mut high) = (first, stored);
    while low < high {
        let middle = low + (high - low) / 2;
        let message = read_messages(&shared.store, &slice, &stream, middle, 1).await?.pop();
        let is_removed =
            |state: &mut State| message.is_some_and(|one| state.topics[topic].has_removed(&one, state.now));
        if shared.change(is_removed) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

impl State {
    /// The slices of logs that do not keep everything.
    pub(crate) fn limited_slices(&self) -> Vec<(usize, usize)> {
        let limited = self.topics.iter().enumerate().filter(|(_, topic)| {
            matches!(topic.spec.keep, Keep::Log { max_age, max_bytes } if max_age.is_some() || max_bytes.is_some())
        });
        limited.flat_map(|(at, topic)| (0..topic.partitions.len()).map(move |partition| (at, partition))).collect()
    }

    /// How a topic stands, as far as its limits have nothing to say.
    fn topic_status(&self, topic: usize, spec: mainspring_broker::Topic) -> TopicStatus {
        let state = &self.topics[topic];
        let slices = state.partitions.iter().enumerate().map(|(at, partition)| {
            let floors = state.groups.iter().filter_map(|group| {
                let group = &self.groups[*group];
                group.slice(topic, at).map(|slice| group.cursors[slice].floor)
            });
            let settled = if state.is_log() { 0 } else { floors.min().unwrap_or(0) };
            SliceStatus { first: partition.first.max(settled), next: partition.stored }
        });
        TopicStatus { topic: spec, slices: slices.collect() }
    }

    /// A message that was taken out of the schedule leaves it without coming.
    fn cancel(&mut self, ticket: Ticket, messages: Vec<Message>, done: Then<()>) {
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| {
            state.schedule.land(&[ticket], landed.is_ok());
            for message in messages.iter().filter(|_| landed.is_ok()) {
                if let Some(topic) = state.topic_of.get(&message.destination) {
                    state.topics[*topic].forget(id_of(message));
                }
            }
            done(landed.map(drop).map_err(|failure| BrokerError::Failed(failure.into())));
        };
        let schedule = Schedule::leave(&[ticket]);
        self.enqueue(Entry { schedule, ..Entry::new(Box::new(landed)) });
    }
}
