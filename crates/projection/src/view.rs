//! What a database offers to hold read models: generations of tables, each with its checkpoint, one of them current.

use std::{error::Error, fmt, future::Future};

use mainspring_store::Checkpoint;

/// One read-model database. Each generation of a projection has tables of its own in it, so that one can be built while
/// another is read.
///
/// An implementor guarantees:
/// - What is written through one transaction and its checkpoint become durable together, or not at all. A transaction
///   that is dropped leaves nothing.
/// - [`begin`](View::begin) waits until an earlier transaction of the same generation has come to its end, dropped ones
///   and those of another process included, and reads the checkpoint behind it.
/// - Only one [`open`](View::open)ed value of one version of a projection exists at a time, over all processes.
/// - [`promote`](View::promote) is atomic and durable: after a crash readers find the old generation or the new one, whole.
pub trait View: Send + Sync + 'static {
    /// One open generation.
    type Model: Send + Sync + 'static;
    /// A transaction under way. It is owned, so that no lifetime leaks into what projections write.
    type Tx: Send + 'static;
    /// What a projection writes through: for an SQL database its connection, inside our transaction.
    type Writer: Send;
    /// What users read with.
    type Reader: Clone + Send + Sync + 'static;
    /// What can go wrong.
    type Error: Error + Send + Sync + 'static;

    /// Opens the projection `name` for a program that has `version` of it. Where there is nothing yet, begins its first
    /// generation, which is current from the beginning. Where the current generation has another version, or a rebuild
    /// has been asked for, opens the generation that is being built beside it, or begins one.
    ///
    /// # Errors
    /// The database cannot be opened, or another runner has this version open.
    fn open(
        &self,
        name: &'static str,
        version: u32,
    ) -> impl Future<Output = Result<Opened<Self::Model>, Self::Error>> + Send;

    /// Which generation a model is.
    fn generation(model: &Self::Model) -> Generation;

    /// What users read a generation with.
    fn reader(model: &Self::Model) -> Self::Reader;

    /// The committed checkpoint of a generation; `None` when its tables have not been created.
    ///
    /// # Errors
    /// The checkpoint cannot be read.
    fn checkpoint(&self, model: &Self::Model) -> impl Future<Output = Result<Option<Checkpoint>, Self::Error>> + Send;

    /// Begins a transaction and reads the checkpoint inside it; `None` when the tables have not been created.
    ///
    /// # Errors
    /// The transaction cannot begin.
    fn begin(
        &self,
        model: &Self::Model,
    ) -> impl Future<Output = Result<(Self::Tx, Option<Checkpoint>), Self::Error>> + Send;

    /// What the projection writes through.
    fn writer(tx: &mut Self::Tx) -> &mut Self::Writer;

    /// Writes the checkpoint and commits it together with the rows.
    ///
    /// # Errors
    /// Whether the transaction was committed is then unknown; the checkpoint tells.
    fn commit(&self, tx: Self::Tx, checkpoint: Checkpoint) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Makes a generation the current one, all of it durable. Repeating it changes nothing.
    ///
    /// # Errors
    /// The switch cannot be recorded; the old generation is still current.
    fn promote(&self, model: &Self::Model) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Asks for a rebuild of the projection `name`: the next [`open`](View::open) begins a new generation. What was being
    /// built for an earlier request is given up.
    ///
    /// # Errors
    /// The request cannot be recorded.
    fn rebuild(&self, name: &str) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// What there is of a projection.
#[derive(Debug)]
pub enum Opened<M> {
    /// The current generation has the program's version, and nothing is to replace it.
    Settled(M),
    /// Readers see one generation while another is built.
    Building {
        /// What readers see. It may have another version than the program's and is then only read.
        current: M,
        /// What replaces it when it has caught up; it has the program's version.
        next: M,
    },
}

impl<M> Opened<M> {
    /// What readers see.
    pub fn current(&self) -> &M {
        match self {
            Self::Settled(current) | Self::Building { current, .. } => current,
        }
    }

    /// What replaces it when it has caught up.
    pub fn next(&self) -> Option<&M> {
        match self {
            Self::Settled(_) => None,
            Self::Building { next, .. } => Some(next),
        }
    }
}

/// Which set of tables of a projection: the version of the program that fills it, and how often it was built anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    /// The projection's `VERSION`.
    pub version: u32,
    /// Counted from 1 within a version.
    pub number: u32,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {}, generation {}", self.version, self.number)
    }
}
