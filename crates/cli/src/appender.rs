//! Appending events that have nothing to do with each other: in one commit where the store takes them so, and one by one
//! where it does not, so that what is wrong with one is said of that one.

use mainspring::{
    event::{NewEvent, StreamName, Version},
    store::{Append, AppendError, Appended, EventStore, Expected, Written},
};

/// Appends groups of events in order.
pub(crate) struct Appender<'a> {
    store: &'a dyn EventStore,
    /// Where a stream is expected to be; an exact version moves on with what is written.
    expected: Option<(StreamName, Expected)>,
    /// Whether the first refusal is the end.
    strict: bool,
}

impl<'a> Appender<'a> {
    /// Appends until the first refusal.
    pub(crate) fn strict(store: &'a dyn EventStore) -> Self {
        Self { store, expected: None, strict: true }
    }

    /// Appends to `stream` alone, which is expected to be somewhere, and passes over what is refused.
    pub(crate) fn expecting(store: &'a dyn EventStore, stream: StreamName, expected: Expected) -> Self {
        Self { store, expected: Some((stream, expected)), strict: false }
    }

    /// Appends the events; answers for each in turn. There are fewer answers than events when the last one is an error
    /// after which the others were not tried.
    pub(crate) async fn append(&mut self, events: &[NewEvent]) -> Vec<Result<Written, AppendError>> {
        match self.commit(events).await {
            Ok(appended) => appended.written.into_iter().map(Ok).collect(),
            Err(error) if events.len() == 1 || is_final(&error) => vec![Err(error)],
            // It was refused as a whole, perhaps because of only one of them.
            Err(_) => self.one_by_one(events).await,
        }
    }

    async fn one_by_one(&mut self, events: &[NewEvent]) -> Vec<Result<Written, AppendError>> {
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            let answer = self.commit(std::slice::from_ref(event)).await;
            let ended = answer.as_ref().is_err_and(|error| self.strict || is_final(error));
            match answer {
                Ok(appended) => answers.extend(appended.written.into_iter().map(Ok)),
                Err(error) => answers.push(Err(error)),
            }
            if ended {
                break;
            }
        }
        answers
    }

    async fn commit(&mut self, events: &[NewEvent]) -> Result<Appended, AppendError> {
        let mut append = Append::new(events.iter().cloned());
        if let Some((stream, expected)) = &self.expected {
            append = append.expect(stream.clone(), *expected);
        }
        let appended = self.store.append(append).await?;
        if let (Some((_, expected)), Some(last)) = (&mut self.expected, appended.written.last()) {
            *expected = following(*expected, last.version);
        }
        Ok(appended)
    }
}

/// Whether an error leaves no sense in trying what comes after it.
pub(crate) fn is_final(error: &AppendError) -> bool {
    matches!(error, AppendError::Conflict(_) | AppendError::Failed(_) | AppendError::Unknown(_))
}

/// Where a stream is expected to be, once an event of it has `version`. A repeated event may lie further back.
fn following(expected: Expected, version: Version) -> Expected {
    match expected {
        Expected::Any | Expected::Exists => expected,
        Expected::NoStream => Expected::Exactly(version),
        Expected::Exactly(before) => Expected::Exactly(before.max(version)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };

    use mainspring::{
        event::EventId,
        store::{BatchStream, Capabilities, Info, MemoryStore, Read, ReadError},
    };

    use super::*;

    /// Fails one append.
    struct Failing {
        store: MemoryStore,
        appends: AtomicUsize,
        fails: Mutex<Option<(usize, AppendError)>>,
    }

    #[async_trait::async_trait]
    impl EventStore for Failing {
        async fn append(&self, append: Append) -> Result<Appended, AppendError> {
            let number = self.appends.fetch_add(1, Ordering::SeqCst);
            let error = self.fails.lock().unwrap().take_if(|(at, _)| *at == number);
            match error {
                Some((_, error)) => Err(error),
                None => self.store.append(append).await,
            }
        }

        fn read(&self, read: Read) -> BatchStream {
            self.store.read(read)
        }

        async fn info(&self) -> Result<Info, ReadError> {
            self.store.info().await
        }

        fn capabilities(&self) -> Capabilities {
            self.store.capabilities()
        }
    }

    /// Appends an event that is refused between two that are not; answers in words, and how many appends it took.
    fn answers(strict: bool, fails: Option<(usize, AppendError)>) -> (Vec<String>, usize) {
        let store = Failing { store: MemoryStore::new(), appends: AtomicUsize::new(0), fails: Mutex::new(fails) };
        let stream: StreamName = "a-1".parse().unwrap();
        let event = |id: &str, payload: &'static str| {
            let event = NewEvent::json(stream.clone(), "Happened".parse().unwrap(), payload);
            NewEvent { id: EventId::derived(&[id]), ..event }
        };
        let appender = Appender::expecting(&store, stream.clone(), Expected::NoStream);
        let mut appender = Appender { strict, ..appender };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answers = runtime.block_on(appender.append(&[event("a", "1"), event("a", "2"), event("b", "3")]));
        let words = |answer: Result<Written, AppendError>| match answer {
            Ok(written) => format!("version {}", written.version),
            Err(AppendError::IdReused { .. }) => "reused".to_owned(),
            Err(error) => error.to_string(),
        };
        (answers.into_iter().map(words).collect(), store.appends.into_inner())
    }

    #[track_caller]
    fn check(strict: bool, fails: Option<(usize, AppendError)>, expected: &[&str], appends: usize) {
        let expected: Vec<_> = expected.iter().map(|&word| word.to_owned()).collect();
        assert_eq!(answers(strict, fails), (expected, appends));
    }

    #[test]
    fn one_that_is_refused_does_not_keep_others_out() {
        check(false, None, &["version 1", "reused", "version 2"], 4);
        check(true, None, &["version 1", "reused"], 3);
    }

    #[test]
    fn a_store_that_fails_is_not_asked_again() {
        let failed = || AppendError::Failed("full".into());
        let unknown = || AppendError::Unknown("rot".into());
        check(false, Some((0, failed())), &["not written"], 1);
        let may_have = "may have been written; repeat the identical append to find out";
        check(false, Some((0, unknown())), &[may_have], 1);
        check(false, Some((3, unknown())), &["version 1", "reused", may_have], 4);
        check(false, Some((1, failed())), &["not written"], 2);
    }
}
