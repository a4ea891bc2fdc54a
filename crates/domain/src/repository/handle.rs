//! One command on its way: its options, and carrying it out when it is awaited.

use std::future::{Future, IntoFuture};
use std::pin::Pin;

use mainspring_event::{NameError, NewEvent, StreamName};
use mainspring_store::{Append, Expected};

use super::Repository;
use crate::{
    CommandError, Decider, Receipt,
    attempts::{Attempt, Attempts},
    history::Loaded,
    idempotency::Key,
    origin::{Origin, origin_options},
    snapshot::Basis,
    staging::{Destination, stage},
};

/// A command for one aggregate, from [`Repository::handle`]. Await it.
///
/// # Cancel safety
/// Dropping the future leaves all of the command's events or none. With an idempotency key it can be sent again.
#[must_use = "a command does nothing until it is awaited"]
pub struct Handle<D: Decider> {
    repository: Repository<D>,
    stream: Result<StreamName, NameError>,
    command: D::Command,
    key: Option<String>,
    origin: Origin,
}

impl<D: Decider> Handle<D> {
    pub(super) fn new(repository: Repository<D>, stream: Result<StreamName, NameError>, command: D::Command) -> Self {
        Self { repository, stream, command, key: None, origin: Origin::default() }
    }

    /// Makes sending the command again harmless: with the same key on the same aggregate it gives the receipt of the
    /// first time and stores nothing more, whatever the command is.
    ///
    /// The key is found through the events of the first time while they are retained. A command that was refused, or
    /// decided on no events, left nothing to find and is decided anew.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    origin_options!();

    async fn run(self) -> Result<Receipt, CommandError<D::Error>> {
        let Self { repository, stream, command, key, origin } = self;
        let stream = stream.map_err(|error| CommandError::Invalid(error.into()))?;
        let key = key.map(|key| Key::new(stream.as_str(), key));
        let mut attempts = Attempts::new(&repository.store, key.as_ref());
        loop {
            let (loaded, basis) = repository.load_stream(&stream, key.as_ref().map(Key::first)).await?;
            // All events of a command with this key are in this stream: where it was read from its beginning without
            // the first of them, there is none.
            if let Some(key) = &key
                && !loaded.lacks_sought
                && let Some(receipt) = key.original(&repository.store).await?
            {
                return Ok(receipt);
            }
            let events = loaded.state.decide(command.clone()).map_err(CommandError::Rejected)?;
            let destination = Destination::Stream(&stream);
            let events = stage(&events, &destination, key.as_ref(), &origin).map_err(CommandError::Invalid)?;
            if events.is_empty() {
                let receipt = Receipt::without_events(loaded.through, loaded.version);
                repository.snapshot(&receipt, loaded, basis, &events).await;
                return Ok(receipt);
            }
            let append = Append::new(events).expect(stream.clone(), Expected::Exactly(loaded.version));
            if let Attempt::Appended(receipt) = attempts.append(&append).await? {
                repository.snapshot(&receipt, loaded, basis, &append.events).await;
                return Ok(receipt);
            }
        }
    }
}

impl<D: Decider> Repository<D> {
    /// Writes a snapshot of the state after `events` if one is due.
    async fn snapshot(&self, receipt: &Receipt, loaded: Loaded<D>, basis: Option<Basis>, events: &[NewEvent]) {
        // The same command may have been faster and have left its events at other versions than these.
        let follows = receipt.version.0 == loaded.version.0 + events.len() as u64;
        if let (Some(snapshots), Some(basis), true) = (&self.snapshots, basis, follows) {
            snapshots.after(&self.store, loaded, basis, events).await;
        }
    }
}

impl<D: Decider> IntoFuture for Handle<D> {
    type Output = Result<Receipt, CommandError<D::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
