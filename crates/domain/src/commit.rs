//! Several decisions in one append: all of them happen, or none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainspring_event::{NewEvent, Position, StreamName, Version};
use mainspring_store::{Append, AppendError, BoxError, Check, Conflict, Expected, Store};

use crate::{
    CommandError, Decider, Decision, Receipt, attempts,
    decide::{self, check_decision},
    history,
    origin::{Origin, origin_options},
    repository::{check_category, stream_of},
    staging::{Destination, preview, stage},
};

/// Several decisions in one append. Cloning shares it.
///
/// Each decision sees what the ones before it in the same commit have staged. Nothing is stored until
/// [`append`](Self::append); a conflict then means that the whole has to be decided again, in a new commit.
///
/// ```
/// use mainspring_domain::{Commit, Decider, Repository};
/// use mainspring_event::Event;
/// use mainspring_store::{MemoryStore, Store};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Event)]
/// # #[event(crate = mainspring_event)]
/// struct Moved { cents: i64 }
///
/// #[derive(Default)]
/// struct Account { balance: i64 }
/// impl Decider for Account {
///     const CATEGORY: &'static str = "account";
///     type Id = str;
///     type Command = i64;
///     type Event = Moved;
///     type Error = std::convert::Infallible;
///
///     fn evolve(&mut self, moved: &Moved) {
///         self.balance += moved.cents;
///     }
///
///     fn decide(&self, cents: i64) -> Result<Vec<Moved>, Self::Error> {
///         Ok(vec![Moved { cents }])
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Store::new(MemoryStore::new());
/// let transfer = Commit::new(&store);
/// transfer.handle::<Account>("ada", -50).await?;
/// transfer.handle::<Account>("bob", 50).await?;
/// let receipt = transfer.append().await?;
/// assert_eq!(receipt.events.len(), 2);
///
/// let accounts = Repository::<Account>::new(&store);
/// assert_eq!((accounts.load("ada").await?.balance, accounts.load("bob").await?.balance), (-50, 50));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Commit {
    store: Store,
    origin: Origin,
    staged: Arc<Mutex<Staged>>,
}

/// What has been decided so far.
#[derive(Default)]
struct Staged {
    append: Append,
    /// How far the decisions have read.
    through: Position,
    /// Counts the decisions, so that one notices when another has staged something meanwhile.
    decisions: u64,
    /// The append was taken out; what is staged now would be lost.
    closed: bool,
}

/// A clone of the commit has taken it already.
#[derive(Debug, thiserror::Error)]
#[error("the commit was closed before: decide everything before it is appended")]
struct Closed;

/// What one decision adds.
struct Addition {
    events: Vec<NewEvent>,
    check: Check,
    through: Position,
}

impl Commit {
    /// An empty commit for `store`.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone(), origin: Origin::default(), staged: Arc::default() }
    }

    origin_options!();

    /// Decides on `command` for the aggregate `id` and stages its events, on the condition that its stream is still
    /// where it was read.
    ///
    /// # Errors
    /// [`CommandError`]; a conflict means that an earlier decision of this commit has read another version of the stream.
    pub async fn handle<D: Decider>(&self, id: &D::Id, command: D::Command) -> Result<(), CommandError<D::Error>> {
        check_category::<D>();
        let stream = stream_of::<D>(id)?;
        loop {
            let (before, decisions) = self.so_far().map_err(CommandError::Invalid)?;
            let mut loaded = history::load::<D>(&self.store, &stream, None).await?;
            for event in before.events.iter().filter(|event| event.stream == stream) {
                loaded.state.evolve(&preview(event, history::decode::<D::Event>)?);
            }
            same_version(&before, &stream, loaded.version)?;
            let events = loaded.state.decide(command.clone()).map_err(CommandError::Rejected)?;
            let events = stage(&events, &Destination::Stream(&stream), None, &self.origin_after(&before))
                .map_err(CommandError::Invalid)?;
            let check = Check::Stream { stream: stream.clone(), expected: Expected::Exactly(loaded.version) };
            let addition = Addition { events, check, through: loaded.through };
            if self.add(decisions, addition).map_err(CommandError::Invalid)? {
                return Ok(());
            }
        }
    }

    /// Makes `decision` and stages its events, on the condition that nothing was added to what it depends on.
    ///
    /// # Errors
    /// [`CommandError`], but no conflict: that shows when the commit is appended.
    pub async fn decide<D: Decision>(&self, decision: &D) -> Result<(), CommandError<D::Error>> {
        check_decision::<D>();
        let query = decide::selection(decision).map_err(CommandError::Invalid)?;
        loop {
            let (before, decisions) = self.so_far().map_err(CommandError::Invalid)?;
            let facts = decide::read(&self.store, decision, &query, &before.events).await?;
            let events = decision.decide(&facts.state).map_err(CommandError::Rejected)?;
            let events = stage(&events, &Destination::Category(D::CATEGORY), None, &self.origin_after(&before))
                .map_err(CommandError::Invalid)?;
            let check = decide::condition(decision, facts.through).map_err(CommandError::Invalid)?;
            let addition = Addition { events, check, through: facts.through };
            if self.add(decisions, addition).map_err(CommandError::Invalid)? {
                return Ok(());
            }
        }
    }

    /// What was staged, to be appended by the caller together with something else. Closes the commit: a decision that a
    /// clone of it makes afterwards fails.
    pub fn into_append(self) -> Append {
        self.close().0
    }

    /// Appends what was staged and closes the commit. Where nothing happens because of any decision, nothing is written.
    ///
    /// # Errors
    /// [`AppendError`]; after a conflict, decide everything again in a new commit. `Unknown` was settled by repetition as
    /// far as possible.
    pub async fn append(self) -> Result<Receipt, AppendError> {
        let (append, through) = self.close();
        if append.events.is_empty() {
            return Ok(Receipt::without_events(through, Version::NONE));
        }
        let appended = attempts::settled(&self.store, &append).await?;
        Ok(Receipt::of(&append, &appended))
    }

    /// What is staged, and by how many decisions.
    fn so_far(&self) -> Result<(Append, u64), BoxError> {
        let staged = self.lock();
        if staged.closed { Err(Closed.into()) } else { Ok((staged.append.clone(), staged.decisions)) }
    }

    /// Stages what was decided on after `decisions` others; false if there are more by now, which it should have seen.
    fn add(&self, decisions: u64, addition: Addition) -> Result<bool, BoxError> {
        let mut staged = self.lock();
        if staged.closed {
            return Err(Closed.into());
        }
        if staged.decisions != decisions {
            return Ok(false);
        }
        staged.decisions += 1;
        staged.through = staged.through.max(addition.through);
        staged.append.events.extend(addition.events);
        if !staged.append.checks.contains(&addition.check) {
            staged.append.checks.push(addition.check);
        }
        Ok(true)
    }

    fn close(&self) -> (Append, Position) {
        let mut staged = self.lock();
        staged.closed = true;
        (std::mem::take(&mut staged.append), staged.through)
    }

    /// The whole commit belongs to one conversation, which its first event may have begun.
    fn origin_after(&self, before: &Append) -> Origin {
        let mut origin = self.origin.clone();
        let begun = before.events.first().and_then(|first| first.metadata.correlation);
        origin.metadata.correlation = begun.or(origin.metadata.correlation);
        origin
    }

    /// A panic while the lock was held left nothing half-staged behind: everything is computed before it is taken.
    fn lock(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails if an earlier decision of the commit has read `stream` at another version: the two could not both hold.
fn same_version<E>(before: &Append, stream: &StreamName, actual: Version) -> Result<(), CommandError<E>> {
    let moved = before.checks.iter().find_map(|check| match check {
        Check::Stream { stream: read, expected } if read == stream && !expected.holds(actual) => Some(*expected),
        _ => None,
    });
    match moved {
        Some(expected) => {
            let last = Conflict::Stream { stream: stream.clone(), expected, actual }.into();
            Err(CommandError::Conflict { attempts: 1, last })
        }
        None => Ok(()),
    }
}
