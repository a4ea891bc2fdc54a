//! The side that has the broker: takes connections for as long as it is wanted.

mod connection;
mod fetching;
mod member;
mod sending;

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mainspring_broker::Broker;
use tokio::{
    net::UnixListener,
    sync::watch,
    task::{JoinError, JoinHandle, JoinSet},
    time,
};

use crate::address;

/// As many connections are served; more are told so, and no more than as many again.
const MAX_CONNECTIONS: usize = 256;

/// How long to wait after the system had no connection to give: usually it is out of file descriptors.
const PAUSE: Duration = Duration::from_millis(50);

/// Why a broker is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another process serves there.
    #[error("a living process serves a broker at {path}: connect to it, or end it first")]
    Living {
        /// The socket.
        path: PathBuf,
    },
    /// There is a file that is no socket.
    #[error("{path} is there and no socket: move it away, or serve elsewhere")]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// The system did not let it.
    #[error("cannot listen at {path}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A task of the server panicked; what it was doing for its client was cut off.
    #[error("{count} connections to {path} ended by a panic")]
    Panicked {
        /// The socket.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

/// Serves a broker to other processes of the same user on this machine. Dropping it cuts all connections at once.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: watch::Sender<bool>,
    /// Says at its end how many connections panicked.
    accepting: JoinHandle<usize>,
    /// Locked for as long as this server lives, so that nobody takes its socket for a dead one's.
    _lock: File,
}

/// Tells the tasks of a server that it is to stop.
#[derive(Clone)]
struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns when it is to stop, or was dropped. Cancel-safe.
    async fn wanted(&mut self) {
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}

impl Server {
    /// Serves `broker` at `path`, where a socket is made that only this user can connect to. One that a dead process has
    /// left is replaced. Beside it lies `<path>.lock`, which stays.
    ///
    /// Must be called on a Tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`ServeError`]; nothing is served then.
    pub async fn serve(broker: Arc<dyn Broker>, path: impl AsRef<Path>) -> Result<Self, ServeError> {
        let path = path.as_ref().to_owned();
        let lock = claim(&path)?;
        let listener = address::listen(&path).map_err(|source| ServeError::Listen { path: path.clone(), source })?;
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, broker, Stop(stopped)));
        Ok(Self { path, stop, accepting, _lock: lock })
    }

    /// Where it serves.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Cuts all connections, gives back what was fetched and not handed over, and waits for the ends of all tasks.
    /// Members of clients are gone then as after a crash; to let them drain, close the broker first. For a client that is
    /// stuck with what it has not taken it waits five seconds.
    ///
    /// # Errors
    /// [`ServeError::Panicked`] when a connection had ended by a panic.
    pub async fn stop(mut self) -> Result<(), ServeError> {
        self.stop.send_replace(true);
        let count = (&mut self.accepting).await.unwrap_or(1);
        if count == 0 { Ok(()) } else { Err(ServeError::Panicked { path: self.path.clone(), count }) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        // What cannot be removed is replaced by the next server.
        let _ = fs::remove_file(&self.path);
    }
}

/// Sees that nobody serves at `path`, and removes what a dead process has left there.
fn claim(path: &Path) -> Result<File, ServeError> {
    let failed = |source| ServeError::Listen { path: path.to_owned(), source };
    let living = || ServeError::Living { path: path.to_owned() };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".lock");
    let lock = File::options().create(true).truncate(false).write(true).open(beside).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(living()),
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(lock),
        Err(error) => Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => Err(ServeError::Occupied { path: path.to_owned() }),
        // Another program may listen without a lock.
        Ok(_) if address::is_living(path) => Err(living()),
        Ok(_) => fs::remove_file(path).map(|()| lock).map_err(failed),
    }
}

/// Takes connections until it is stopped, and waits for their ends. Says how many panicked.
async fn accept(listener: UnixListener, broker: Arc<dyn Broker>, mut stop: Stop) -> usize {
    let mut connections = JoinSet::new();
    let mut panics = 0;
    let told = stop.clone();
    loop {
        tokio::select! {
            () = stop.wanted() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => panics += panicked(ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < 2 * MAX_CONNECTIONS => {
                    let is_full = connections.len() >= MAX_CONNECTIONS;
                    connections.spawn(connection::run(stream, broker.clone(), is_full, told.clone()));
                }
                Ok(_) => tracing::warn!("a connection to the broker socket was dropped: there are too many"),
                Err(error) => {
                    tracing::warn!(%error, "no connection to the broker socket can be taken now");
                    time::sleep(PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        panics += panicked(ended);
    }
    panics
}

fn panicked(ended: Result<(), JoinError>) -> usize {
    let Err(error) = ended else { return 0 };
    tracing::error!(%error, "a connection to the broker socket ended by a panic");
    1
}
