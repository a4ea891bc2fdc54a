//! One connection to a server: requests that go out, each with a number, and replies that find whoever waits for them.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mainspring_broker::{BrokerError, Handover, Next};
use tokio::{
    net::UnixStream,
    sync::{Notify, mpsc},
    task::AbortHandle,
};

use crate::{
    frame::{Frames, Outbox},
    protocol::{self, Reply, Request, Told},
};

/// A connection; it ends when this is dropped, or when nobody answers there.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    /// The task that reads and flushes; it ends with the link.
    io: AbortHandle,
}

/// What the task shares with those who call.
pub(super) struct Shared {
    outbox: Outbox,
    calls: Mutex<Calls>,
    /// Tells that a call was answered for the last time.
    answered: Notify,
    inbox: Mutex<Inbox>,
    /// Tells whoever waits for what comes next.
    arrived: Notify,
}

#[derive(Default)]
struct Calls {
    last: u64,
    ended: bool,
    waiting: HashMap<u64, mpsc::Sender<Reply>>,
}

/// What came to a member.
#[derive(Default)]
pub(super) struct Inbox {
    /// The question that somebody waits for.
    pub(super) question: Option<u64>,
    /// The answer to it.
    pub(super) answer: Option<Result<Next, BrokerError>>,
    /// What came after nobody waited for it any more and cannot be given back: news of slices.
    pub(super) kept: VecDeque<Next>,
    /// Nothing will come any more.
    pub(super) ended: bool,
}

/// Why nothing was asked.
#[derive(Debug)]
pub(super) enum NotCalled {
    /// The connection has ended.
    Ended,
    /// The request would have so many bytes.
    TooLong(usize),
}

/// Why nothing was answered.
#[derive(Debug)]
pub(super) enum Lost {
    /// The request never left this process as a whole, so nobody has seen it.
    NotSent,
    /// It may have been done.
    Unknown,
}

/// A request that was sent. Keeps its connection.
pub(super) struct Call {
    link: Arc<Link>,
    replies: mpsc::Receiver<Reply>,
    /// Where the end of the request lies in what goes out.
    end: u64,
}

impl Call {
    /// The next reply. Cancel-safe.
    pub(super) async fn reply(&mut self) -> Result<Reply, Lost> {
        match self.replies.recv().await {
            Some(reply) => Ok(reply),
            None if self.link.shared.outbox.is_out(self.end) => Err(Lost::Unknown),
            None => Err(Lost::NotSent),
        }
    }
}

impl Link {
    pub(super) fn new(stream: UnixStream) -> Arc<Self> {
        let (read, write) = stream.into_split();
        let shared = Arc::new(Shared {
            outbox: Outbox::new(write),
            calls: Mutex::default(),
            answered: Notify::new(),
            inbox: Mutex::default(),
            arrived: Notify::new(),
        });
        let io = tokio::spawn(run(shared.clone(), Frames::new(read))).abort_handle();
        Arc::new(Self { shared, io })
    }

    /// Sends a request that will be answered, when there is room for it.
    ///
    /// # Cancel safety
    /// Dropping the future leaves it sent or not.
    pub(super) async fn call(self: &Arc<Self>, request: &Request) -> Result<Call, NotCalled> {
        self.shared.outbox.room().await.map_err(|_| NotCalled::Ended)?;
        // One request is answered by two replies at most.
        let (answer, replies) = mpsc::channel(2);
        let number = {
            let mut calls = self.shared.calls();
            if calls.ended {
                return Err(NotCalled::Ended);
            }
            calls.last += 1;
            let number = calls.last;
            calls.waiting.insert(number, answer);
            number
        };
        let pushed = match protocol::frame(number, request) {
            Ok(frame) => self.shared.outbox.push(frame).map_err(|_| NotCalled::Ended),
            Err(length) => Err(NotCalled::TooLong(length)),
        };
        match pushed {
            Ok(end) => Ok(Call { link: self.clone(), replies, end }),
            Err(error) => {
                self.shared.calls().waiting.remove(&number);
                Err(error)
            }
        }
    }

    /// Says something that is not answered as calls are. Does not wait; returns its number, and where its end lies in what
    /// goes out, unless the connection has ended.
    pub(super) fn tell(&self, request: &Request) -> Option<(u64, u64)> {
        self.shared.tell(request)
    }

    /// Waits until there is room for a request.
    pub(super) async fn room(&self) -> Result<(), BrokerError> {
        self.shared.outbox.room().await.map_err(|_| BrokerError::Closed)
    }

    /// Waits until what ends there is in the hands of the system.
    pub(super) async fn flushed(&self, end: u64) -> Result<(), BrokerError> {
        self.shared.outbox.flushed(end).await.map_err(|_| BrokerError::Closed)
    }

    /// Waits until every call was answered, or the connection has ended.
    pub(super) async fn idle(&self) {
        loop {
            // Made before looking, so that what happens in between is not missed.
            let answered = self.shared.answered.notified();
            if self.shared.calls().waiting.is_empty() {
                return;
            }
            answered.await;
        }
    }

    /// What came to the member.
    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.shared.inbox()
    }

    /// Waits until something came since this was last asked; one may ask at a time.
    pub(super) async fn arrival(&self) {
        self.shared.arrived.notified().await;
    }

    /// Ends the connection.
    pub(super) fn end(&self) {
        self.io.abort();
        self.shared.end();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn tell(&self, request: &Request) -> Option<(u64, u64)> {
        let number = {
            let mut calls = self.calls();
            calls.last += 1;
            calls.last
        };
        let frame = protocol::frame(number, request).ok()?;
        Some((number, self.outbox.push(frame).ok()?))
    }

    /// Nothing panics while it is held; the same is true of the inbox.
    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody will be answered any more.
    fn end(&self) {
        self.outbox.close();
        let unanswered = {
            let mut calls = self.calls();
            calls.ended = true;
            std::mem::take(&mut calls.waiting)
        };
        drop(unanswered);
        self.answered.notify_waiters();
        self.inbox().ended = true;
        self.arrived.notify_one();
    }

    /// Gives a reply to whoever waits for it. Who has gone away gets nothing.
    fn dispatch(self: &Arc<Self>, number: u64, reply: Reply) {
        let reply = match reply {
            Reply::Next(told) => return self.arrive(number, told),
            reply => reply,
        };
        let mut calls = self.calls();
        if matches!(reply, Reply::Admitted) {
            if let Some(waiting) = calls.waiting.get(&number) {
                let _ = waiting.try_send(reply);
            }
            return;
        }
        if let Some(waiting) = calls.waiting.remove(&number) {
            let _ = waiting.try_send(reply);
        }
        drop(calls);
        self.answered.notify_waiters();
    }

    fn arrive(self: &Arc<Self>, question: u64, told: Result<Told, BrokerError>) {
        let answer = told.map(|told| self.understand(told));
        let mut inbox = self.inbox();
        let forgotten = if inbox.question == Some(question) {
            inbox.answer = Some(answer);
            None
        } else {
            inbox.keep(answer)
        };
        drop(inbox);
        self.arrived.notify_one();
        // Outside the lock, because dropping a handover says something.
        drop(forgotten);
    }

    fn understand(self: &Arc<Self>, told: Told) -> Next {
        match told {
            Told::Batch(batch) => Next::Batch(batch),
            Told::Assigned(slices) => Next::Assigned(slices),
            Told::Lost(slices) => Next::Lost(slices),
            Told::Closed => Next::Closed,
            Told::Revoking { handover, slices, deadline } => {
                // A handover does not keep its member alive.
                let shared = Arc::downgrade(self);
                Next::Revoking(Handover::new(slices, deadline, move || {
                    if let Some(shared) = shared.upgrade() {
                        shared.tell(&Request::GiveUp(handover));
                    }
                }))
            }
        }
    }
}

impl Inbox {
    /// Keeps what nobody waits for any more, unless it comes again: messages, which the server takes back, and errors.
    pub(super) fn keep(&mut self, answer: Result<Next, BrokerError>) -> Option<Result<Next, BrokerError>> {
        match answer {
            Ok(Next::Batch(_)) | Err(_) => return Some(answer),
            Ok(next) => self.kept.push_back(next),
        }
        None
    }
}

/// Reads and flushes for as long as the connection lasts.
async fn run(shared: Arc<Shared>, mut frames: Frames) {
    let ended = tokio::select! {
        error = shared.outbox.flush() => error,
        error = read(&shared, &mut frames) => error,
    };
    tracing::debug!(error = %ended, "the connection to the broker has ended");
    shared.end();
}

async fn read(shared: &Arc<Shared>, frames: &mut Frames) -> io::Error {
    loop {
        let frame = match frames.head().await {
            Ok(Some(length)) => frames.body(length).await,
            Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) => Err(error),
        };
        match frame.map(protocol::content) {
            Ok(Ok((number, reply))) => shared.dispatch(number, reply),
            Ok(Err(garbled)) => return io::Error::new(io::ErrorKind::InvalidData, garbled),
            Err(error) => return error,
        }
    }
}
