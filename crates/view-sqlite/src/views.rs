//! A directory of read models, and the [`View`] that projections write through.

use std::{path::Path, path::PathBuf, sync::Arc};

use mainspring_projection::{Generation, Opened, View};
use mainspring_store::Checkpoint;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::{
    ViewError,
    catalogue::Catalogue,
    files::{self, check_name, model_path},
    model::{self, Model},
    plan::State,
};

/// A directory of read models: one SQLite file for each generation of each projection, and a catalogue of them. Cheap to
/// clone; clones share nothing but the directory.
#[derive(Clone, Debug)]
pub struct Views {
    directory: Arc<Path>,
    catalogue: Catalogue,
    readers: u32,
}

/// One generation of one read model, as [`Views::list`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadModel {
    /// Which projection.
    pub name: String,
    /// Which generation of it.
    pub generation: Generation,
    /// What it is for.
    pub state: State,
    /// How far it has come; `None` when its tables have not been created.
    pub checkpoint: Option<Checkpoint>,
    /// The size of its files in bytes.
    pub bytes: u64,
    /// Where it is.
    pub path: PathBuf,
    /// Whether a rebuild of the projection has been asked for and has not begun.
    pub rebuild_asked: bool,
}

impl Views {
    /// Opens the views in a directory, which is created where it is missing. Any number of processes may do so at once.
    ///
    /// # Errors
    /// [`ViewError`] when the directory or its catalogue cannot be used.
    pub async fn open(directory: impl AsRef<Path>) -> Result<Self, ViewError> {
        let directory = directory.as_ref();
        let catalogue = Catalogue::open(directory).await?;
        Ok(Self { directory: directory.into(), catalogue, readers: 4 })
    }

    /// With so many connections for the readers of each read model, instead of 4.
    pub fn readers(mut self, connections: u32) -> Self {
        self.readers = connections.max(1);
        self
    }

    /// Everything in the directory, by name, version and generation. It needs no projection and disturbs none.
    ///
    /// # Errors
    /// [`ViewError`] when the catalogue or a read model cannot be read.
    pub async fn list(&self) -> Result<Vec<ReadModel>, ViewError> {
        let mut models = Vec::new();
        for entry in self.catalogue.entries().await? {
            let path = model_path(&self.directory, &entry.name, entry.generation);
            let reader = model::reader(&path, 1);
            let checkpoint = model::checkpoint(&path, &reader).await?;
            reader.close().await;
            models.push(ReadModel {
                checkpoint,
                bytes: files::size(&path).await?,
                path,
                name: entry.name,
                generation: entry.generation,
                state: entry.state,
                rebuild_asked: entry.rebuild_asked,
            });
        }
        Ok(models)
    }

    /// Opens what readers of the projection `name` see, for SQL of any kind that does not write.
    ///
    /// # Errors
    /// [`ViewError::Unknown`] when there is no such projection, or another when the catalogue cannot be read.
    pub async fn reader(&self, name: &str) -> Result<SqlitePool, ViewError> {
        let entries = self.catalogue.entries().await?;
        let current = entries.iter().find(|entry| entry.name == name && entry.state == State::Current);
        let current = current.ok_or_else(|| self.catalogue.unknown(name))?;
        Ok(model::reader(&model_path(&self.directory, name, current.generation), self.readers))
    }

    /// Asks for a rebuild of the projection `name`: its next run builds a new generation beside the present one, which is
    /// read until the new one has caught up. To rebuild while it runs, ask its `Projected`.
    ///
    /// # Errors
    /// [`ViewError::Unknown`] when there is no such projection, or another when the request cannot be recorded.
    pub async fn rebuild(&self, name: &str) -> Result<(), ViewError> {
        self.catalogue.ask_for_rebuild(name).await
    }
}

impl View for Views {
    type Model = Model;
    type Tx = Transaction<'static, Sqlite>;
    type Writer = SqliteConnection;
    type Reader = SqlitePool;
    type Error = ViewError;

    async fn open(&self, name: &'static str, version: u32) -> Result<Opened<Model>, ViewError> {
        check_name(name)?;
        let lock = Arc::new(files::lock(&self.directory, name, version).await?);
        let open = |generation| Model::open(&self.directory, name, generation, version, self.readers, &lock);
        Ok(match self.catalogue.choose(name, version).await? {
            Opened::Settled(current) => Opened::Settled(open(current).await?),
            Opened::Building { current, next } => {
                Opened::Building { current: open(current).await?, next: open(next).await? }
            }
        })
    }

    fn generation(model: &Model) -> Generation {
        model.generation
    }

    fn reader(model: &Model) -> SqlitePool {
        model.reader.clone()
    }

    async fn checkpoint(&self, model: &Model) -> Result<Option<Checkpoint>, ViewError> {
        model::checkpoint(&model.path, &model.reader).await
    }

    async fn begin(&self, model: &Model) -> Result<(Self::Tx, Option<Checkpoint>), ViewError> {
        // The write lock is taken first, so that no other writer can move the checkpoint once it was read.
        let mut tx = model.writer.begin_with("BEGIN IMMEDIATE").await?;
        let checkpoint = model::read_checkpoint(&model.path, &mut tx).await?;
        Ok((tx, checkpoint))
    }

    fn writer(tx: &mut Self::Tx) -> &mut SqliteConnection {
        tx
    }

    async fn commit(&self, mut tx: Self::Tx, checkpoint: Checkpoint) -> Result<(), ViewError> {
        model::write_checkpoint(&mut tx, checkpoint).await?;
        Ok(tx.commit().await?)
    }

    async fn promote(&self, model: &Model) -> Result<(), ViewError> {
        // Moves the write-ahead log into the file and synchronises it: the switch must not outlive what it switches to.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&model.writer).await?;
        self.catalogue.promote(model.name, model.generation).await
    }

    async fn rebuild(&self, name: &str) -> Result<(), ViewError> {
        self.catalogue.ask_for_rebuild(name).await
    }
}
