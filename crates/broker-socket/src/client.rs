//! The side that works with the broker of another process.

mod link;
mod member;
mod operator;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::future::join_all;
use mainspring_broker::{
    Admin, Broker, BrokerError, Capabilities, Confirmations, Deliveries, Destination, Drift, Ensure, Limits, Message,
    Receipt, SendError, Settler, SubscriptionSpec, Topology,
};
use tokio::time;

use crate::{
    address,
    codec::MAX_LIST,
    handshake::{self, Welcome},
    protocol::{MAX_BATCH, MAX_FRAME, Reply, Request, VERSION},
};
use link::{Call, Link, Lost, NotCalled};
use member::Member;

/// How long a server may take for its first words.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no connection; the source of the [`BrokerError::Failed`] that [`SocketBroker::connect`] returns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nobody listens.
    #[error("no process serves a broker at {path}: start the one that holds it")]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Both sides are of releases that do not understand each other.
    #[error(
        "the process at {path} speaks version {theirs} of the protocol, this one version {ours}: run the same release"
    )]
    OtherVersion {
        /// The socket.
        path: PathBuf,
        /// The version of this process.
        ours: u32,
        /// That of the other one.
        theirs: u32,
    },
    /// The server has as many connections as it takes.
    #[error("the process at {path} takes no more connections: end some, or try again later")]
    Full {
        /// The socket.
        path: PathBuf,
    },
    /// Whoever listens does not answer as a broker does.
    #[error("whoever listens at {path} is no broker, or is stuck")]
    Stranger {
        /// The socket.
        path: PathBuf,
    },
}

/// The broker that another process serves.
///
/// Each member has a connection of its own, and everything else shares one. A connection that is lost is not made again:
/// then `send` answers `Unknown` for what was under way and `NotAttempted` for what was not sent, `settle` and `commit`
/// answer `Unknown`, and all else, `next` too, [`BrokerError::Closed`], for good. Connect anew.
///
/// A call of `next` has to be waited for as long as a question and its answer take (well below a millisecond): what
/// comes after it was dropped is given back untried. An answer has at most 10,000 messages and 16 MiB. [`Settler::in_store`]
/// is not there, because the store is in the other process.
#[derive(Debug)]
pub struct SocketBroker {
    path: PathBuf,
    link: Arc<Link>,
    has_admin: bool,
    closing: AtomicBool,
    members: Mutex<Vec<Weak<Member>>>,
}

impl SocketBroker {
    /// Connects to the process that serves at `path`.
    ///
    /// # Errors
    /// [`BrokerError::Denied`] when the socket is another user's; otherwise [`BrokerError::Failed`], whose source is a
    /// [`ConnectError`].
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, BrokerError> {
        let path = path.as_ref().to_owned();
        let (link, has_admin) = open(&path).await?;
        Ok(Self { path, link, has_admin, closing: AtomicBool::new(false), members: Mutex::default() })
    }

    fn is_open(&self) -> Result<(), BrokerError> {
        if self.closing.load(Ordering::Acquire) { Err(BrokerError::Closed) } else { Ok(()) }
    }

    async fn ask(&self, request: Request) -> Result<Reply, BrokerError> {
        self.is_open()?;
        ask(&self.link, request).await
    }
}

/// A connection whose handshake is done, and whether the broker has an [`Admin`].
async fn open(path: &Path) -> Result<(Arc<Link>, bool), BrokerError> {
    let failed = |error: ConnectError| BrokerError::Failed(error.into());
    let path = path.to_owned();
    let mut stream = match address::connect(&path).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(BrokerError::Denied { reason: format!("{} belongs to another user", path.display()) });
        }
        // The queue of those who wait to be taken is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(failed(ConnectError::Full { path })),
        Err(source) => return Err(failed(ConnectError::Nobody { path, source })),
    };
    match time::timeout(PATIENCE, handshake::greet(&mut stream)).await {
        Ok(Ok(Welcome::Taken { has_admin })) => Ok((Link::new(stream), has_admin)),
        Ok(Ok(Welcome::OtherVersion { theirs })) => {
            Err(failed(ConnectError::OtherVersion { path, ours: VERSION, theirs }))
        }
        Ok(Ok(Welcome::Full)) => Err(failed(ConnectError::Full { path })),
        Ok(Ok(Welcome::Stranger) | Err(_)) | Err(_) => Err(failed(ConnectError::Stranger { path })),
    }
}

/// Asks what is answered once.
async fn ask(link: &Arc<Link>, request: Request) -> Result<Reply, BrokerError> {
    let mut call = link.call(&request).await.map_err(|error| match error {
        NotCalled::Ended => BrokerError::Closed,
        NotCalled::TooLong(length) => {
            BrokerError::Invalid { reason: format!("it takes {length} bytes, the socket takes {MAX_FRAME}") }
        }
    })?;
    call.reply().await.map_err(|_| BrokerError::Closed)
}

/// The server answered something else.
fn confused() -> BrokerError {
    BrokerError::Failed("the answer belongs to another question".into())
}

/// What became of messages of which nobody will hear any more.
fn unknown(count: usize) -> Vec<Result<Receipt, SendError>> {
    (0..count).map(|_| Err(SendError::Unknown("the connection was lost".into()))).collect()
}

#[async_trait]
impl Broker for SocketBroker {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        match self.ask(Request::Ensure(topology.clone(), mode)).await? {
            Reply::Ensured(answer) => answer,
            _ => Err(confused()),
        }
    }

    /// Those of the broker, as far as the socket takes them.
    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        let Reply::Capabilities(answer) = self.ask(Request::Capabilities(of.clone())).await? else {
            return Err(confused());
        };
        let can = answer?;
        let limits = Limits {
            message_bytes: can.limits.message_bytes.min(MAX_BATCH.bytes),
            batch_bytes: can.limits.batch_bytes.min(MAX_BATCH.bytes),
            batch_messages: can.limits.batch_messages.min(MAX_LIST),
            ..can.limits
        };
        Ok(Capabilities { limits, ..can })
    }

    async fn send(&self, batch: Vec<Message>) -> Result<Confirmations, SendError> {
        self.is_open().map_err(|closed| SendError::NotAttempted(closed.into()))?;
        let count = batch.len();
        if count > MAX_LIST {
            let what = "the number of messages of the batch";
            return Err(SendError::TooLarge { what, actual: count, limit: MAX_LIST });
        }
        let called = self.link.call(&Request::Send(batch)).await;
        let mut call = called.map_err(|error| match error {
            NotCalled::Ended => SendError::NotAttempted("the connection is lost".into()),
            NotCalled::TooLong(actual) => {
                SendError::TooLarge { what: "the batch on the socket, in bytes,", actual, limit: MAX_FRAME }
            }
        })?;
        match call.reply().await {
            Ok(Reply::NotAdmitted(error)) => Err(error),
            Ok(Reply::Confirmed(answers)) if answers.len() == count => Ok(Confirmations::now(answers)),
            Ok(Reply::Admitted) => Ok(Confirmations::later(confirmed(call, count))),
            Err(Lost::NotSent) => Err(SendError::NotAttempted("the connection was lost before it was sent".into())),
            Ok(_) | Err(Lost::Unknown) => Ok(Confirmations::now(unknown(count))),
        }
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        self.is_open()?;
        let (link, _) = open(&self.path).await?;
        match ask(&link, Request::Subscribe(spec)).await? {
            Reply::Done(answer) => answer?,
            _ => return Err(confused()),
        }
        let member = Arc::new(Member::new(link));
        {
            let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.retain(|member| member.strong_count() > 0);
            members.push(Arc::downgrade(&member));
        }
        // A broker that was closed meanwhile closes no members any more.
        self.is_open()?;
        let (deliveries, settler) = member::split(member);
        Ok((Box::new(deliveries), Arc::new(settler)))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        self.has_admin.then_some(self)
    }

    /// Closes what this process has: its members and its connection. The broker itself goes on.
    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.closing.store(true, Ordering::Release);
        let members: Vec<_> = {
            let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.iter().filter_map(Weak::upgrade).collect()
        };
        let closed = join_all(members.iter().map(|member| member.close(deadline))).await;
        let answered = time::timeout_at(deadline.into(), self.link.idle()).await;
        self.link.end();
        if answered.is_err() {
            return Err(BrokerError::Failed("not everything that was sent was confirmed before the deadline".into()));
        }
        // A member whose connection was lost is gone already.
        closed.into_iter().find(|closed| !matches!(closed, Ok(()) | Err(BrokerError::Closed))).unwrap_or(Ok(()))
    }
}

/// What becomes of messages that were admitted.
async fn confirmed(mut call: Call, count: usize) -> Vec<Result<Receipt, SendError>> {
    match call.reply().await {
        Ok(Reply::Confirmed(answers)) if answers.len() == count => answers,
        _ => unknown(count),
    }
}
