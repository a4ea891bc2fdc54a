//! Settlements, one by one and together with messages: what is checked, what is written, and what follows.

use std::time::Duration;

use jiff::Timestamp;
use mainspring_broker::{
    AfterDeadLetter, CommitError, DeadLetter, DeliveryTag, Message, Outcome, Receipt, SettleError,
};
use mainspring_store::{Append, AppendError, Appended};

use crate::{
    codec::progress::Tried,
    entry::{Alone, Entry, Failure, Landed},
    group::item::{Holding, Item, Status},
    sending::{Batch, Prepared},
    state::{State, steps_of_settled, steps_of_tried},
    time::later,
    topic::id_of,
};

/// The reason of a dead letter that nobody handled in time.
const EXPIRED: &str = "expired";

/// Dead letters of one settlement take no more bytes than fit into an append of any store.
const MOST: usize = 8 << 20;

/// A dead letter that found no place is tried again so much later.
const AGAIN: Duration = Duration::from_secs(1);

/// What follows for a message when its settlement is written.
enum Effect {
    Settled,
    Again { tried: Tried },
}

/// Settlements that were checked and are to be written.
#[derive(Default)]
struct Settling {
    batch: Batch,
    settled: Vec<(usize, u64)>,
    tried: Vec<(usize, u64, Tried)>,
    followers: Vec<Follower>,
}

impl Settling {
    /// Whether nothing comes again and nothing is sent.
    fn only_settles(&self) -> bool {
        self.tried.is_empty() && self.batch.len() == 0
    }
}

/// A message whose settlement is on its way.
struct Follower {
    number: u64,
    /// Its slice and its offset.
    spot: (usize, u64),
    /// The delivery that is settled, where a member had it.
    holding: Option<Holding>,
    effect: Effect,
}

impl State {
    /// Settles deliveries of a member; `done` hears of each.
    pub(crate) fn settle(
        &mut self,
        group: usize,
        member: u64,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        done: impl FnOnce(Vec<Result<(), SettleError>>) + Send + 'static,
    ) {
        let mut settling = Settling::default();
        let mut checked = Vec::with_capacity(outcomes.len());
        for (tag, outcome) in outcomes {
            checked.push(self.check(group, member, tag, outcome, &mut settling));
        }
        let is_patient = settling.only_settles() && self.is_quiet(group);
        let (entry, followers) = self.entry(group, settling);
        if followers.is_empty() {
            return done(checked);
        }
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| {
            state.follow(group, followers, landed.is_ok());
            let answer = |checked: Result<(), SettleError>| match (&checked, &landed) {
                (Ok(()), Err(failure)) => Err(failure.of_settling()),
                _ => checked,
            };
            done(checked.into_iter().map(answer).collect());
        };
        self.enqueue(Entry { is_patient, done: Box::new(landed), ..entry });
    }

    /// Settles, sends and appends, all or nothing.
    pub(crate) fn commit(
        &mut self,
        (group, member): (usize, u64),
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
        append: Option<Append>,
        done: impl FnOnce(Result<(Appended, Vec<Receipt>), CommitError>) + Send + 'static,
    ) {
        let mut settling = Settling::default();
        let letters = match self.check_all((group, member), outcomes, out, &mut settling) {
            Ok(letters) => letters,
            Err(error) => {
                self.take_back(group, settling);
                return done(Err(error));
            }
        };
        let batch = std::mem::take(&mut settling.batch);
        let (messages, answers) = batch.split();
        let (entry, followers) = self.entry(group, settling);
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| {
            state.follow(group, followers, landed.is_ok());
            done(match landed {
                Ok(landed) => {
                    let receipts = Batch::receipts(answers, &landed, state);
                    Ok((landed.appended, receipts.into_iter().skip(letters).collect()))
                }
                Err(failure) => Err(of_committing(failure)),
            });
        };
        let alone = append.map(Alone::User);
        self.enqueue(Entry { messages, alone, done: Box::new(landed), ..entry });
    }

    /// Checks everything of a commit; how many dead letters come before its messages. What was checked before an error is
    /// in `settling`, to be taken back.
    fn check_all(
        &mut self,
        (group, member): (usize, u64),
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
        settling: &mut Settling,
    ) -> Result<usize, CommitError> {
        self.capabilities.limits.check(&out).map_err(|source| CommitError::Send { at: 0, source })?;
        for (tag, outcome) in outcomes {
            let checked = self.check(group, member, tag, outcome, settling);
            checked.map_err(|source| CommitError::Settle { tag, source })?;
        }
        let letters = settling.batch.len();
        for (at, message) in out.into_iter().enumerate() {
            let prepared = Prepared::new(message, self.now);
            let sent = self.prepare(&mut settling.batch, prepared).and_then(|()| settling.batch.is_settled(self));
            sent.map_err(|source| CommitError::Send { at, source })?;
        }
        Ok(letters)
    }

    /// Nothing of a commit happens.
    fn take_back(&mut self, group: usize, settling: Settling) {
        for Follower { number, holding, .. } in settling.followers {
            if let Some(holding) = holding {
                self.groups[group].set(number, Status::Held(holding));
            }
        }
        for message in settling.batch.messages {
            self.topics[message.topic].forget(id_of(&message.message));
        }
    }

    /// Checks one settlement, and notes what is to be written of it.
    fn check(
        &mut self,
        group: usize,
        member: u64,
        tag: DeliveryTag,
        outcome: Outcome,
        settling: &mut Settling,
    ) -> Result<(), SettleError> {
        let now = self.now;
        let (item, holding) = self.touch(group, member, tag)?;
        let (slice, offset) = (item.slice, item.offset());
        let effect = match outcome {
            Outcome::Ack => {
                settling.settled.push((slice, offset));
                Effect::Settled
            }
            Outcome::Retry { after } => {
                let mut tried = item.tried();
                too_long("a delay, in milliseconds,", after, self.capabilities.limits.delay)?;
                tried.not_before = (!after.is_zero()).then(|| later(now, after));
                settling.tried.push((slice, offset, tried));
                Effect::Again { tried }
            }
            Outcome::DeadLetter { reason } => self.bury(group, tag.number, reason, settling)?,
            Outcome::Release => {
                let mut tried = item.tried();
                tried.attempts -= 1;
                tried.first = tried.first.filter(|_| tried.attempts > 0);
                settling.tried.push((slice, offset, tried));
                Effect::Again { tried }
            }
            _ => return Err(SettleError::Refused { reason: "this outcome is unknown to the broker".to_owned() }),
        };
        self.groups[group].set(tag.number, Status::Settling(holding));
        let holding = Some(holding);
        settling.followers.push(Follower { number: tag.number, spot: (slice, offset), holding, effect });
        Ok(())
    }

    /// Sees that a delivery lasts. Whoever settles shows that it is there, so its session stays its own.
    fn touch(&mut self, group: usize, member: u64, tag: DeliveryTag) -> Result<(&Item, Holding), SettleError> {
        let state = &mut self.groups[group];
        let holding = state.items.get(tag.number).and_then(|item| item.delivery(tag, member, self.now));
        let (Some(holding), Some(holder)) = (holding, state.members.get(&member)) else {
            return Err(SettleError::Stale);
        };
        let until = later(self.now, holder.spec.lease);
        state.touch_session(tag.number, member, until);
        let item = state.items.get(tag.number).ok_or(SettleError::Stale)?;
        Ok((item, holding))
    }

    /// Notes that a message is to be copied to where dead letters go, and then taken away, or to hold its key.
    fn bury(
        &mut self,
        group: usize,
        number: u64,
        reason: String,
        settling: &mut Settling,
    ) -> Result<Effect, SettleError> {
        let state = &self.groups[group];
        let Some(item) = state.items.get(number) else { return Err(SettleError::Stale) };
        let Some(topic) = state.spec.dead_letter.clone() else {
            let group = &state.spec.group;
            let reason = format!("group `{group}` has no place for dead letters; give its subscription one");
            return Err(SettleError::Refused { reason });
        };
        let letter = DeadLetter {
            message: item.stored.message.clone(),
            place: Some(item.stored.place.clone()),
            group: state.spec.group.clone(),
            reason,
            attempts: item.attempts,
            stored: Some(item.stored.stored),
            first_attempt: item.first_attempt,
            died: self.now,
        };
        let holds = state.spec.after_dead_letter == AfterDeadLetter::Hold && item.stored.message.key.is_some();
        let (slice, offset) = (item.slice, item.offset());
        let dead = Tried { dead: true, not_before: None, ..item.tried() };
        let prepared = Prepared::new(letter.to_message(topic), self.now);
        if settling.batch.bytes() + prepared.len() > MOST {
            return Err(SettleError::Failed("too many dead letters at once; settle this one again".into()));
        }
        self.prepare(&mut settling.batch, prepared).map_err(SettleError::NotMoved)?;
        if holds {
            settling.tried.push((slice, offset, dead));
            Ok(Effect::Again { tried: dead })
        } else {
            settling.settled.push((slice, offset));
            Ok(Effect::Settled)
        }
    }

    /// What is to be written of settlements, and what follows.
    fn entry(&mut self, group: usize, settling: Settling) -> (Entry, Vec<Follower>) {
        let Settling { batch, settled, tried, followers } = settling;
        let mut steps = steps_of_settled(settled);
        steps.extend(steps_of_tried(tried));
        let entry = Entry::steps(group, steps, Box::new(|_, _| {}));
        (Entry { messages: batch.messages, ..entry }, followers)
    }

    /// Settlements were written, or were not.
    fn follow(&mut self, group: usize, followers: Vec<Follower>, written: bool) {
        for Follower { number, spot: (slice, offset), holding, effect } in followers {
            let state = &mut self.groups[group];
            let Some(item) = state.items.get_mut(number) else {
                // The group was moved meanwhile; should that fail, it goes on behind what is settled.
                if written && matches!(effect, Effect::Settled) {
                    state.cursors[slice].settle(offset);
                }
                continue;
            };
            let lasts = matches!(item.status, Status::Settling(now) if Some(now) == holding);
            let moves = item.status == Status::Moving && holding.is_none();
            if !lasts && !moves {
                continue;
            }
            match (written, effect) {
                (true, Effect::Settled) => state.settle(number),
                (true, Effect::Again { tried }) => {
                    (item.attempts, item.first_attempt) = (tried.attempts, tried.first);
                    let status = match tried.not_before {
                        _ if tried.dead => Status::Dead,
                        Some(time) => Status::Waiting(time),
                        None => Status::Ready,
                    };
                    state.set(number, status);
                }
                (false, _) => match holding {
                    Some(holding) => state.hold_on(number, holding, self.now),
                    None => state.put_off(number, later(self.now, AGAIN)),
                },
            }
        }
        self.groups[group].end_sessions(self.now);
        self.pump(group);
    }

    /// What nobody handled in time becomes a dead letter where there is a place for those. Where that place takes none,
    /// it stays and is tried again.
    pub(crate) fn expire(&mut self, group: usize, number: u64) {
        let mut settling = Settling::default();
        let Some(item) = self.groups[group].items.get(number) else { return };
        let at = (item.slice, item.offset());
        let effect = if self.groups[group].spec.dead_letter.is_some() {
            match self.bury(group, number, EXPIRED.to_owned(), &mut settling) {
                Ok(effect) => effect,
                Err(error) => {
                    tracing::warn!(%error, "an expired message cannot become a dead letter; trying again");
                    return self.groups[group].put_off(number, later(self.now, AGAIN));
                }
            }
        } else {
            settling.settled.push(at);
            Effect::Settled
        };
        self.groups[group].set(number, Status::Moving);
        settling.followers.push(Follower { number, spot: at, holding: None, effect });
        let (entry, followers) = self.entry(group, settling);
        let landed = move |state: &mut Self, landed: Result<Landed, _>| state.follow(group, followers, landed.is_ok());
        self.enqueue(Entry { done: Box::new(landed), ..entry });
    }

    /// Keeps deliveries for so much time from now on.
    pub(crate) fn extend(
        &mut self,
        group: usize,
        member: u64,
        tag: DeliveryTag,
        by: Duration,
    ) -> Result<(), SettleError> {
        self.touch(group, member, tag)?;
        too_long("a lease, in milliseconds,", by, self.capabilities.limits.lease)?;
        let until: Timestamp = later(self.now, by);
        self.groups[group].extend(tag.number, until);
        self.expect(Some(until));
        Ok(())
    }
}

/// What a failure means for a commit.
fn of_committing(failure: Failure) -> CommitError {
    match failure {
        Failure::Unknown(error) => CommitError::Unknown(error.into()),
        Failure::Not(error) => CommitError::Append(match std::sync::Arc::try_unwrap(error) {
            Ok(error) => error,
            Err(shared) => AppendError::Failed(shared.into()),
        }),
        Failure::Ended => {
            let tag = DeliveryTag { number: 0, epoch: 0 };
            CommitError::Settle { tag, source: SettleError::Stale }
        }
    }
}

fn too_long(what: &'static str, actual: Duration, limit: Duration) -> Result<(), SettleError> {
    let milliseconds = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    if actual > limit {
        let (actual, limit) = (milliseconds(actual), milliseconds(limit));
        return Err(SettleError::TooLarge { what, actual, limit });
    }
    Ok(())
}
