//! One supervised application: what runs on a store, how it stops, and why.

mod messages;

use std::{future::Future, path::PathBuf, pin::Pin, time::Duration};

use mainspring_broker::BrokerError;
use mainspring_projection::{self as projection, Projected, Projection, ProjectionError, prepare_with};
use mainspring_store::{BoxError, Store};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use crate::{OpenError, open};

pub use messages::MessagingError;
use messages::Opened;

/// Tasks that do not end so long after they were asked to are dropped.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long the broker may take to write what it was told before, when the tasks have ended.
const BROKER_PATIENCE: Duration = Duration::from_secs(10);

/// A store, the broker in it, and what runs on them.
///
/// Tasks are owned: one that fails, panics or ends before it was asked to stops the application, and its cause is the
/// error.
///
/// It stops from the top: tasks are told to, and handlers finish what they have begun; then the broker closes, which
/// gives back what was not settled; then the store is let go of, and closes when nobody else holds it.
pub struct App {
    store: Store,
    /// The directory of the store, where it has one.
    directory: Option<PathBuf>,
    /// There once somebody has asked for it: opening a broker writes to the store.
    broker: Option<Opened>,
    tasks: Vec<Task>,
}

struct Task {
    name: String,
    start: Box<dyn FnOnce(Shutdown) -> TaskFuture + Send>,
}

type TaskFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// Tells a task when it is to stop.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Completes when the application stops.
    pub async fn requested(mut self) {
        // An application that is gone has stopped, too.
        let _ = self.0.wait_for(|stop| *stop).await;
    }
}

/// Why an application stopped before it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A task failed for good.
    #[error("`{task}` failed")]
    Failed {
        /// Which task.
        task: String,
        /// What it says.
        source: BoxError,
    },
    /// A task panicked.
    #[error("`{task}` panicked: {message}")]
    Panicked {
        /// Which task.
        task: String,
        /// What it said.
        message: String,
    },
    /// A task ended although nobody had asked it to.
    #[error("`{task}` ended before the application was stopped")]
    Ended {
        /// Which task.
        task: String,
    },
    /// Tasks that did not end in time were dropped.
    #[error("still running {} s after they were asked to stop, and dropped: {}", PATIENCE.as_secs(), tasks.join(", "))]
    Drain {
        /// Which tasks.
        tasks: Vec<String>,
    },
    /// The tasks have ended, and the broker did not close in order: what was sent and not confirmed may be lost.
    #[error("the broker did not close in order")]
    Broker(#[source] BrokerError),
    /// The signals of the operating system cannot be received.
    #[error("the signals that would stop the application cannot be received")]
    Signals(#[source] std::io::Error),
}

impl App {
    /// An application on the store at `url`; see [`open`].
    ///
    /// # Errors
    /// [`OpenError`] of the store.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let store = open(url).await?;
        let directory = url.strip_prefix("disk:").map(PathBuf::from);
        Ok(Self { directory, ..Self::new(store) })
    }

    /// An application on a store that is open already.
    pub fn new(store: Store) -> Self {
        Self { store, directory: None, broker: None, tasks: Vec::new() }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Keeps a read model up to date while the application runs.
    ///
    /// # Errors
    /// [`ProjectionError`] when the read model cannot be opened.
    pub async fn project<P: Projection>(
        &mut self,
        projection: P,
        view: P::View,
    ) -> Result<Projected<P>, ProjectionError> {
        self.project_with(projection, view, projection::Options::default()).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// [`ProjectionError`] as for [`project`](Self::project).
    pub async fn project_with<P: Projection>(
        &mut self,
        projection: P,
        view: P::View,
        options: projection::Options,
    ) -> Result<Projected<P>, ProjectionError> {
        let (projected, runner) = prepare_with(projection, view, self.store.clone(), options).await?;
        self.task(P::NAME, |stop| runner.run(stop.requested()));
        Ok(projected)
    }

    /// Runs a task of yours. It is not restarted: when it ends, the application stops.
    pub fn task<F, Fut, E>(&mut self, name: &str, task: F)
    where
        F: FnOnce(Shutdown) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let start = move |stop| -> TaskFuture {
            let running = task(stop);
            Box::pin(async move { running.await.map_err(Into::into) })
        };
        self.tasks.push(Task { name: name.to_owned(), start: Box::new(start) });
    }

    /// Runs until the process is asked to stop (SIGINT or SIGTERM), or until a task fails.
    ///
    /// # Errors
    /// [`RunError`] says which task stopped the application, and why.
    pub async fn run(self) -> Result<(), RunError> {
        self.run_until(stop_signal()).await?
    }

    /// Runs until `work` is done, and answers with what it came to.
    ///
    /// # Errors
    /// [`RunError`] when a task stopped the application before; `work` is dropped then.
    pub async fn run_until<T>(self, work: impl Future<Output = T>) -> Result<T, RunError> {
        let (stop, stopped) = watch::channel(false);
        let mut running = Running { names: Vec::new(), tasks: JoinSet::new() };
        for Task { name, start } in self.tasks {
            let task = running.tasks.spawn(start(Shutdown(stopped.clone())));
            running.names.push((task.id(), name));
        }
        let early = tokio::select! {
            biased;
            done = work => Ok(done),
            error = running.first_end() => Err(error),
        };
        stop.send_replace(true);
        let drained = running.drain().await;
        let closed = messages::close(self.broker).await;
        let done = early?;
        drained?;
        closed?;
        Ok(done)
    }
}

/// The tasks of a running application.
struct Running {
    names: Vec<(tokio::task::Id, String)>,
    tasks: JoinSet<Result<(), BoxError>>,
}

type Joined = Result<(tokio::task::Id, Result<(), BoxError>), JoinError>;

impl Running {
    /// Waits for the first task that ends; for ever where there is none.
    async fn first_end(&mut self) -> RunError {
        match self.tasks.join_next_with_id().await {
            Some(joined) => match self.outcome(joined) {
                Ok(task) => RunError::Ended { task },
                Err(error) => error,
            },
            None => std::future::pending().await,
        }
    }

    /// Waits for all tasks to end after they were asked to; the first failure is the error.
    async fn drain(mut self) -> Result<(), RunError> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut first = None;
        while !self.tasks.is_empty() {
            match tokio::time::timeout_at(deadline, self.tasks.join_next_with_id()).await {
                Ok(Some(joined)) => first = first.or(self.outcome(joined).err()),
                Ok(None) => break,
                Err(_) => {
                    let tasks = self.names.into_iter().map(|(_, name)| name).collect();
                    return Err(RunError::Drain { tasks });
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// The name of a task that ended in order, or what it came to.
    fn outcome(&mut self, joined: Joined) -> Result<String, RunError> {
        let id = match &joined {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let index = self.names.iter().position(|(known, _)| *known == id).expect("every task was named when spawned");
        let (_, task) = self.names.swap_remove(index);
        match joined {
            Ok((_, Ok(()))) => Ok(task),
            Ok((_, Err(source))) => Err(RunError::Failed { task, source }),
            Err(error) => Err(RunError::Panicked { task, message: panic_message(error) }),
        }
    }
}

fn panic_message(error: JoinError) -> String {
    let unknown = error.to_string();
    let Ok(panic) = error.try_into_panic() else { return unknown };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).map_or(unknown, str::to_owned)
}

/// Completes when the operating system asks the process to stop.
async fn stop_signal() -> Result<(), RunError> {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    let mut terminate = terminate.map_err(RunError::Signals)?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(RunError::Signals),
        _ = terminate.recv() => Ok(()),
    }
}
