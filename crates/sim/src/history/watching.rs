//! Looks at the store in every way there is, and compares what it shows with what the model shows.

use futures_util::{FutureExt, StreamExt, future::join_all};
use mainspring_event::Version;
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Check, Conflict, EventBatch, EventStore, Expected, Read, ReadError,
    ReadFrom,
};
use tokio::task::yield_now;

use super::{
    model::Model,
    player::Player,
    queries::{STREAMS, everything, stream},
    reads::{agree, collect, count, same_events},
};

/// At most so many followers are kept.
const FOLLOWERS: usize = 2;

/// A follower of the store, and one of the model, that began with the same read at the same time.
pub(super) struct Followers {
    actual: BatchStream,
    expected: BatchStream,
}

impl Player {
    /// Reads in the writing process.
    pub(super) async fn read(&mut self, read: &Read) -> Result<(), String> {
        let handle = self.subject.handle();
        self.read_from(&*handle, read).await.map(drop)
    }

    /// Reads from a handle and from the model; answers what was read, if it was not hindered.
    async fn read_from(&mut self, handle: &dyn EventStore, read: &Read) -> Result<Option<Vec<EventBatch>>, String> {
        let before = self.subject.disk.injected();
        let expected = collect(&self.model.reference, read.clone()).await;
        match (expected, collect(handle, read.clone()).await) {
            (_, Err(ReadError::Failed(error))) if self.subject.has_failed_since(&before) => {
                self.notes.say(|| format!("      not readable now: {error}"));
                self.totals.failed_reads += 1;
                Ok(None)
            }
            (Ok(expected), Ok(actual)) => {
                self.notes.say(|| format!("      {} events", count(&actual)));
                self.notes.count(count(&actual) as u64);
                agree(read, &expected, &actual).map_err(|what| format!("{read:?}\n  {what}"))?;
                self.totals.reads += 1;
                Ok(Some(actual))
            }
            (Err(expected), Err(actual)) if format!("{expected:?}") == format!("{actual:?}") => {
                self.notes.say(|| format!("      {actual:?}"));
                self.totals.reads += 1;
                Ok(None)
            }
            (expected, actual) => {
                let expected = expected.map(|batches| count(&batches));
                let actual = actual.map(|batches| count(&batches));
                Err(format!("{read:?}\n  must be answered with {expected:?} events, and is with {actual:?}"))
            }
        }
    }

    /// Reads up to a limit and on from where that ended: together it is the read without a limit.
    pub(super) async fn resume(&mut self, read: &Read) -> Result<(), String> {
        let handle = self.subject.handle();
        let limited = Read { limit: Some(1 + read.limit.unwrap_or(2)), ..read.clone() };
        let Some(mut batches) = self.read_from(&*handle, &limited).await? else { return Ok(()) };
        let through = batches.last().map_or_else(Default::default, EventBatch::through);
        let rest = Read { limit: None, from: ReadFrom::After(through), ..read.clone() };
        let Some(more) = self.read_from(&*handle, &rest).await? else { return Ok(()) };
        batches.extend(more);
        // A forward read of a version or a time still to come delivers nothing before it; one from a position does.
        if matches!(read.from, ReadFrom::Version(_) | ReadFrom::Time(_)) {
            return Ok(());
        }
        let whole = collect(&self.model.reference, Read { limit: None, ..read.clone() }).await;
        let whole = whole.map_err(|error| format!("{read:?}: the model says {error:?}"))?;
        same_events(&whole, &batches).map_err(|what| format!("{read:?}, interrupted at {through}: {what}"))
    }

    /// Lets followers look for more, and begins another one.
    pub(super) async fn follow(&mut self, read: &Read) -> Result<(), String> {
        self.totals.follows += 1;
        if self.followers.len() < FOLLOWERS {
            let actual = self.subject.handle().read(read.clone());
            let expected = self.model.reference.read(read.clone());
            self.followers.push(Followers { actual, expected });
        }
        let before = self.subject.disk.injected();
        for mut followers in std::mem::take(&mut self.followers) {
            // A turn of its own, so that the runtime does not make it pause.
            yield_now().await;
            match (live(&mut followers.expected), live(&mut followers.actual)) {
                (Ok(expected), Ok(actual)) => {
                    same_events(&expected, &actual).map_err(|what| format!("a follower: {what}"))?;
                    if expected.last().map(EventBatch::through) != actual.last().map(EventBatch::through) {
                        return Err("a follower came to another place than that of the model".to_owned());
                    }
                    self.notes.count(count(&actual) as u64);
                    self.followers.push(followers);
                }
                (Err(expected), Err(actual)) if format!("{expected:?}") == format!("{actual:?}") => {}
                (_, Err(ReadError::Failed(_))) if self.subject.has_failed_since(&before) => {}
                (expected, actual) => {
                    return Err(format!("a follower must see {expected:?}, and sees {actual:?}"));
                }
            }
        }
        Ok(())
    }

    /// Reads as another process beside the writer.
    pub(super) async fn beside(&mut self, read: &Read) -> Result<(), String> {
        let before = self.subject.disk.injected();
        let handle = match self.subject.open_beside() {
            Ok(handle) => handle,
            Err(_) if self.subject.has_failed_since(&before) => {
                self.totals.failed_opens += 1;
                return Ok(());
            }
            Err(error) => return Err(format!("another process cannot open it: {error:?}")),
        };
        self.totals.read_only += 1;
        self.look_beside(&*handle, read).await
    }

    /// Reads as another process that has had the store open for some time.
    pub(super) async fn behold(&mut self, read: &Read) -> Result<(), String> {
        let before = self.subject.disk.injected();
        let handle = match self.subject.beholder.clone().map_or_else(|| self.subject.open_beside(), Ok) {
            Ok(handle) => handle,
            Err(_) if self.subject.has_failed_since(&before) => {
                self.totals.failed_opens += 1;
                return Ok(());
            }
            Err(error) => return Err(format!("another process cannot open it: {error:?}")),
        };
        self.totals.beheld += u64::from(self.subject.beholder.is_some());
        self.subject.beholder = Some(handle.clone());
        self.look_beside(&*handle, read).await
    }

    /// Reads from the handle of another process.
    async fn look_beside(&mut self, handle: &dyn EventStore, read: &Read) -> Result<(), String> {
        let before = self.subject.disk.injected();
        let info = match handle.info().await {
            Ok(info) => info,
            Err(_) if self.subject.has_failed_since(&before) => return Ok(()),
            Err(error) => return Err(format!("another process cannot say where it is: {error:?}")),
        };
        // What the writer could not mark as synced others do not see yet.
        if self.subject.was_hurt() && info.head < self.model.head() {
            return Ok(());
        }
        if info.head != self.model.head() {
            return Err(format!("another process sees the head {}, it is {}", info.head, self.model.head()));
        }
        let all = self.read_from(handle, &Read::new(everything())).await?;
        if all.is_some() {
            self.read_from(handle, read).await?;
        }
        Ok(())
    }

    /// Looks at everything: all events, and where each stream stands.
    pub(super) async fn look(&mut self) -> Result<(), String> {
        self.model.set(self.subject.now());
        let handle = self.subject.handle();
        self.read_from(&*handle, &Read::new(everything())).await?;
        if self.subject.sick {
            return Ok(());
        }
        let before = self.subject.disk.injected();
        for (name, answer) in versions(&*handle).await {
            match answer {
                Err(AppendError::Failed(error)) => self.excuse(&*error, &before, "failed")?,
                answer => check_version(&self.model, name, &answer)?,
            }
        }
        Ok(())
    }
}

/// Sees to it that each stream of a store stands where it stands in the model.
pub(super) async fn stands(store: &dyn EventStore, model: &Model) -> Result<(), String> {
    let answers = versions(store).await;
    answers.iter().try_for_each(|(name, answer)| check_version(model, name, answer))
}

/// What a store answers to appends that say in which version a stream is.
async fn versions(store: &dyn EventStore) -> Vec<(&'static str, Result<Appended, AppendError>)> {
    let impossible = Expected::Exactly(Version(u64::MAX));
    let questions =
        STREAMS.map(|name| Append::default().check(Check::Stream { stream: stream(name), expected: impossible }));
    let answers = join_all(questions.map(|question| store.append(question))).await;
    STREAMS.into_iter().zip(answers).collect()
}

fn check_version(model: &Model, name: &str, answer: &Result<Appended, AppendError>) -> Result<(), String> {
    let version = model.version(&stream(name));
    match answer {
        Err(AppendError::Conflict(Conflict::Stream { actual, .. })) if actual.0 == version => Ok(()),
        Err(AppendError::Tombstoned { .. }) => Ok(()),
        answer => Err(format!("stream {name} is at version {version}, the store says {answer:?}")),
    }
}

/// What a follower sees now.
fn live(stream: &mut BatchStream) -> Result<Vec<EventBatch>, ReadError> {
    let mut seen = Vec::new();
    while let Some(Some(batch)) = stream.next().now_or_never() {
        seen.push(batch?);
    }
    Ok(seen)
}
