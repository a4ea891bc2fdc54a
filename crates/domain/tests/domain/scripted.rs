//! A store that does as it is told before it does as it should.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use mainspring_event::Position;
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, EventStore, Info, MemoryStore, Read, ReadError, ReadFrom,
};

/// What becomes of one append.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// All goes well.
    Pass,
    /// It is written, but the answer is lost.
    LoseAnswer,
    /// It is lost and so is the answer.
    LoseRequest,
    /// It is surely not written.
    Fail,
    /// Another append comes first.
    Rival(Append),
    /// Retention came in between.
    Stale,
}

/// A memory store with a script; appends beyond the script go well. Cloning shares it.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    pub(crate) inner: MemoryStore,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    steps: VecDeque<Step>,
    appends: Vec<Append>,
    reads: Vec<Read>,
    read_delay: Duration,
    hides_truncation: bool,
    reads_fail: Option<String>,
}

impl Scripted {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Script { steps: steps.into_iter().collect(), ..Script::default() };
        Self { inner: MemoryStore::new(), script: Arc::new(Mutex::new(script)) }
    }

    pub(crate) fn then(&self, steps: impl IntoIterator<Item = Step>) {
        self.script.lock().unwrap().steps.extend(steps);
    }

    /// Every append that was asked for, whatever became of it.
    pub(crate) fn appends(&self) -> Vec<Append> {
        self.script.lock().unwrap().appends.clone()
    }

    pub(crate) fn reads(&self) -> usize {
        self.script.lock().unwrap().reads.len()
    }

    pub(crate) fn delay_reads(&self, delay: Duration) {
        self.script.lock().unwrap().read_delay = delay;
    }

    /// Reads of a truncated stream begin later instead of failing.
    pub(crate) fn hide_truncation(&self) {
        self.script.lock().unwrap().hides_truncation = true;
    }

    /// Reads of the stream with this name fail.
    pub(crate) fn fail_reads_of(&self, stream: &str) {
        self.script.lock().unwrap().reads_fail = Some(stream.to_owned());
    }
}

#[async_trait]
impl EventStore for Scripted {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let step = {
            let mut script = self.script.lock().unwrap();
            script.appends.push(append.clone());
            script.steps.pop_front().unwrap_or(Step::Pass)
        };
        match step {
            Step::Pass => self.inner.append(append).await,
            Step::LoseAnswer => {
                self.inner.append(append).await?;
                Err(AppendError::Unknown("the answer was lost".into()))
            }
            Step::LoseRequest => Err(AppendError::Unknown("the request was lost".into())),
            Step::Fail => Err(AppendError::Failed("the disk is full".into())),
            Step::Rival(rival) => {
                self.inner.append(rival).await.expect("the rival is faster");
                self.inner.append(append).await
            }
            Step::Stale => Err(AppendError::Stale { floor: Position(1) }),
        }
    }

    fn read(&self, mut read: Read) -> BatchStream {
        let mut script = self.script.lock().unwrap();
        script.reads.push(read.clone());
        if script.hides_truncation && matches!(read.from, ReadFrom::Version(_)) {
            read.from = ReadFrom::Start;
        }
        if read.query.single_stream().map(|stream| stream.as_str()) == script.reads_fail.as_deref()
            && script.reads_fail.is_some()
        {
            return stream::iter([Err(ReadError::Failed("the disk is gone".into()))]).boxed();
        }
        let (batches, delay) = (self.inner.read(read), script.read_delay);
        // tidy: allow(sleep): it does not wait for anything, it is what makes this store slow.
        stream::once(tokio::time::sleep(delay)).flat_map(|()| stream::empty()).chain(batches).boxed()
    }

    async fn info(&self) -> Result<Info, ReadError> {
        self.inner.info().await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
