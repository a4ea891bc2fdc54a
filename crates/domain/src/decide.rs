//! Running a decision: read what it depends on, decide, append on the condition that nothing was added to it.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use futures_util::StreamExt;
use mainspring_event::{Event, EventRef, NewEvent, Position, Version, carried, is_category};
use mainspring_store::{Append, BoxError, Check, Query, Read, Store};

use crate::{
    CommandError, Decision, LoadError, Receipt,
    attempts::{Attempt, Attempts},
    history,
    idempotency::Key,
    origin::{Origin, origin_options},
    staging::{Destination, preview, stage},
};

/// Carries out `decision`: reads the events that it depends on, decides, and appends on the condition that none was
/// added since; otherwise it starts again, ten times at most. The result is awaited; options come before that.
///
/// Waits between attempts need the timer of a tokio runtime.
pub fn decide<'a, D: Decision>(store: &Store, decision: &'a D) -> Decide<'a, D> {
    check_decision::<D>();
    Decide { store: store.clone(), decision, key: None, origin: Origin::default() }
}

/// A decision on its way, from [`decide()`]. Await it.
///
/// # Cancel safety
/// Dropping the future leaves all of the decision's events or none. With an idempotency key it can be sent again.
#[must_use = "a decision does nothing until it is awaited"]
pub struct Decide<'a, D> {
    store: Store,
    decision: &'a D,
    key: Option<String>,
    origin: Origin,
}

/// The state that a decision rests on.
pub(crate) struct Facts<S> {
    pub(crate) state: S,
    /// Up to where the store was read: what lies behind it must not match the condition.
    pub(crate) through: Position,
}

/// A decision that depends on nothing would never conflict with anything.
#[derive(Debug, thiserror::Error)]
#[error("the decision selects no events: give it a tag that has a value, or write its `query`")]
struct SelectsNothing;

impl<D: Decision> Decide<'_, D> {
    /// Makes sending the decision again harmless: with the same key in the same category it gives the receipt of the
    /// first time and stores nothing more, whatever the decision is.
    ///
    /// The key is found through the events of the first time while they are retained. A decision that was refused, or
    /// came to no events, left nothing to find and is made anew.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    origin_options!();

    async fn run(self) -> Result<Receipt, CommandError<D::Error>> {
        let Self { store, decision, key, origin } = self;
        let query = selection(decision).map_err(CommandError::Invalid)?;
        let key = key.map(|key| Key::new(D::CATEGORY, key));
        let mut attempts = Attempts::new(&store, key.as_ref());
        loop {
            let facts = read(&store, decision, &query, &[]).await?;
            if let Some(key) = &key
                && let Some(receipt) = key.original(&store).await?
            {
                return Ok(receipt);
            }
            let events = decision.decide(&facts.state).map_err(CommandError::Rejected)?;
            if events.is_empty() {
                return Ok(Receipt::without_events(facts.through, Version::NONE));
            }
            let destination = Destination::Category(D::CATEGORY);
            let events = stage(&events, &destination, key.as_ref(), &origin).map_err(CommandError::Invalid)?;
            let check = condition(decision, facts.through).map_err(CommandError::Invalid)?;
            if let Attempt::Appended(receipt) = attempts.append(&Append::new(events).check(check)).await? {
                return Ok(receipt);
            }
        }
    }
}

impl<'a, D: Decision> IntoFuture for Decide<'a, D> {
    type Output = Result<Receipt, CommandError<D::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Fails the build where a decision could not find its events or name its streams.
pub(crate) fn check_decision<D: Decision>() {
    const {
        assert!(is_category(D::CATEGORY), "a category is not empty, has no `-` and does not begin with `$`");
        assert!(carried(D::KEYS, D::Event::TYPES), "a tag of the decision is carried by no type of its events");
    }
}

/// The events that `decision` depends on.
pub(crate) fn selection<D: Decision>(decision: &D) -> Result<Query, BoxError> {
    match decision.query()? {
        Query::Items(items) if items.is_empty() => Err(SelectsNothing.into()),
        query => Ok(query),
    }
}

/// What must hold when the events of `decision` are appended.
pub(crate) fn condition<D: Decision>(decision: &D, through: Position) -> Result<Check, BoxError> {
    Ok(Check::NoMatch { query: decision.condition()?, after: Some(through) })
}

/// Reads what `decision` depends on, in the store and then among events that are `staged` to be appended with it.
pub(crate) async fn read<D: Decision>(
    store: &Store,
    decision: &D,
    query: &Query,
    staged: &[NewEvent],
) -> Result<Facts<D::State>, LoadError> {
    let mut facts = Facts { state: D::State::default(), through: Position::START };
    let evolve = |state: &mut D::State, event: &EventRef<'_>| {
        decision.evolve(state, &history::decode(event)?);
        Ok::<_, LoadError>(())
    };
    let mut batches = store.read(Read::new(query.clone()));
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for event in batch.iter() {
            evolve(&mut facts.state, &event)?;
        }
        facts.through = batch.through();
    }
    for event in staged {
        preview(event, |event| if query.matches(event) { evolve(&mut facts.state, event) } else { Ok(()) })?;
    }
    Ok(facts)
}
