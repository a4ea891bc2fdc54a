//! Sending: admission, routes, duplicates, and what becomes of each message.

use std::collections::HashSet;

use jiff::Timestamp;
use mainspring_broker::{Confirmations, Message, Receipt, SendError};
use mainspring_event::EventId;
use tokio::sync::oneshot;

use crate::{
    codec::message::Written,
    entry::{Entry, Failure, Landed, Outgoing},
    shared::{ADMISSION, Shared},
    state::State,
    time::later,
};

/// So many bytes of a batch fit into an append of any store, whatever is written with them.
const WRITTEN: usize = 12 << 20;

/// A message that was written but for its place, before the lock was taken.
pub(crate) struct Prepared {
    message: Message,
    written: Written,
    expires: Option<Timestamp>,
    due: Option<Timestamp>,
}

/// What is to be said of a message.
enum Answer {
    /// What becomes of the message at this place of the entry.
    Written(usize),
    /// It came before: what became of that.
    Duplicate { topic: usize, id: EventId },
    /// It is not sent.
    Refused(SendError),
}

/// The messages of a batch that are to be written, and what is to be said of each of the batch.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<Outgoing>,
    answers: Vec<Answer>,
}

impl Prepared {
    /// Bytes that are to be written.
    pub(crate) fn len(&self) -> usize {
        self.written.len()
    }

    pub(crate) fn new(message: Message, now: Timestamp) -> Self {
        let expires = message.expires_after.map(|time| later(now, time));
        let due = message.delay.filter(|delay| !delay.is_zero()).map(|delay| later(now, delay));
        let written = Written::new(&message, expires);
        Self { message, written, expires, due }
    }
}

/// Sends messages once there is room for them.
pub(crate) async fn send(shared: &Shared, batch: Vec<Message>) -> Result<Confirmations, SendError> {
    let closed = |error| SendError::NotAttempted(error);
    let bytes: usize = batch.iter().map(Message::size).sum();
    let permits = u32::try_from((1 + bytes / 1024 + batch.len() / 4).min(ADMISSION)).unwrap_or(1);
    let room = shared.admission.clone().acquire_many_owned(permits).await.map_err(|error| closed(error.into()))?;
    let now = shared.clock.now();
    let prepared: Vec<_> = batch.into_iter().map(|message| Prepared::new(message, now)).collect();
    let written = prepared.iter().map(Prepared::len).sum();
    if written > WRITTEN {
        let what = "the batch with its envelopes, in bytes,";
        return Err(SendError::TooLarge { what, actual: written, limit: WRITTEN });
    }
    let (answer, answered) = oneshot::channel();
    let done = move |answers| {
        drop(room);
        // Nobody needs to wait for it.
        let _ = answer.send(answers);
    };
    shared.open(|state| state.send(prepared, done)).map_err(|error| closed(error.into()))?;
    Ok(Confirmations::later(async move { answered.await.unwrap_or_else(|_| Vec::new()) }))
}

impl State {
    /// Sends in order. Behind a message that failed, those of its key are not tried.
    fn send(&mut self, batch: Vec<Prepared>, done: impl FnOnce(Vec<Result<Receipt, SendError>>) + Send + 'static) {
        let mut failed = HashSet::new();
        let mut sending = Batch::default();
        for prepared in batch {
            let key = prepared.message.key.as_ref().filter(|_| !failed.is_empty());
            let behind = key.is_some_and(|key| failed.contains(&(prepared.message.destination.clone(), key.clone())));
            if behind {
                let answer = SendError::NotAttempted("an earlier message of the key failed".into());
                sending.answers.push(Answer::Refused(answer));
                continue;
            }
            let key = prepared.message.key.clone().map(|key| (prepared.message.destination.clone(), key));
            if let Err(error) = self.prepare(&mut sending, prepared) {
                failed.extend(key);
                sending.answers.push(Answer::Refused(error));
            }
        }
        let Batch { messages, answers } = sending;
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| done(state.answer(answers, landed));
        if messages.is_empty() && self.sends.is_empty() && self.airborne == 0 {
            let nothing = Landed { places: Vec::new(), appended: nothing() };
            landed(self, Ok(nothing));
        } else {
            self.enqueue(Entry::sent(messages, Box::new(landed)));
        }
    }

    /// Adds a message to a batch, if it has a route and did not come before.
    pub(crate) fn prepare(&mut self, batch: &mut Batch, prepared: Prepared) -> Result<(), SendError> {
        let Prepared { message, written, expires, due } = prepared;
        let topic = self.route(&message)?;
        let now = self.now;
        let state = &mut self.topics[topic];
        if let Some((id, _)) = state.duplicate(&message, now) {
            batch.answers.push(Answer::Duplicate { topic, id });
            return Ok(());
        }
        state.remember(&message, now);
        batch.answers.push(Answer::Written(batch.messages.len()));
        batch.messages.push(Outgoing { topic, message, written, expires, due, is_new: true });
        Ok(())
    }

    /// A message that is sent again, whatever its id, if it has a route.
    pub(crate) fn prepare_again(&self, prepared: Prepared) -> Result<Outgoing, SendError> {
        let Prepared { message, written, expires, due } = prepared;
        Ok(Outgoing { topic: self.route(&message)?, message, written, expires, due, is_new: false })
    }

    /// What is to be said of a batch.
    fn answer(&mut self, answers: Vec<Answer>, landed: Result<Landed, Failure>) -> Vec<Result<Receipt, SendError>> {
        let answer = |answer| match (answer, &landed) {
            (Answer::Refused(error), _) => Err(error),
            (Answer::Written(at), Ok(landed)) => Ok(Receipt { place: landed.places[at].clone(), duplicate: false }),
            (Answer::Duplicate { topic, id }, Ok(_)) => match self.topics[topic].seen(id) {
                Some(seen) if seen.arrived => Ok(Receipt { place: seen.place.clone(), duplicate: true }),
                _ => Err(SendError::NotAttempted("the first message of this id failed".into())),
            },
            (_, Err(failure)) => Err(failure.of_sending()),
        };
        answers.into_iter().map(answer).collect()
    }
}

impl Batch {
    /// Bytes of what is to be written.
    pub(crate) fn bytes(&self) -> usize {
        self.messages.iter().map(|message| message.written.len()).sum()
    }

    /// Whether the last message is to be written, or came before and has arrived: all of a commit is there or nothing.
    pub(crate) fn is_settled(&self, state: &State) -> Result<(), SendError> {
        match self.answers.last() {
            Some(Answer::Duplicate { topic, id })
                if !state.topics[*topic].seen(*id).is_some_and(|seen| seen.arrived) =>
            {
                Err(SendError::NotAttempted("the first message of this id is still on its way".into()))
            }
            _ => Ok(()),
        }
    }

    /// Of how many messages something is to be said.
    pub(crate) fn len(&self) -> usize {
        self.answers.len()
    }

    /// What is to be said of a batch that was written: its receipts.
    pub(crate) fn receipts(answers: Vec<Pending>, landed: &Landed, state: &State) -> Vec<Receipt> {
        let receipt = |Pending(answer): Pending| match answer {
            Answer::Written(at) => Receipt { place: landed.places[at].clone(), duplicate: false },
            Answer::Duplicate { topic, id } => {
                let place = state.topics[topic].seen(id).and_then(|seen| seen.place.clone());
                Receipt { place, duplicate: true }
            }
            Answer::Refused(_) => Receipt { place: None, duplicate: false },
        };
        answers.into_iter().map(receipt).collect()
    }

    /// Parts what is to be written from what is to be said.
    pub(crate) fn split(self) -> (Vec<Outgoing>, Vec<Pending>) {
        (self.messages, self.answers.into_iter().map(Pending).collect())
    }
}

/// An answer that is given later.
pub(crate) struct Pending(Answer);

fn nothing() -> mainspring_store::Appended {
    mainspring_store::Appended { position: mainspring_event::Position::START, written: Vec::new() }
}
