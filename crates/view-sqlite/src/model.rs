//! One generation of a read model: a database file with its tables and its checkpoint.
//!
//! Commits are not synchronised one by one (`synchronous = NORMAL` with a write-ahead log). Power loss can take the last
//! of them, and that is safe for one reason only: the checkpoint is in the same database, so rows and checkpoint are lost
//! together and the same events are applied again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mainspring_event::Position;
use mainspring_projection::Generation;
use mainspring_store::{Checkpoint, Lineage, StoreId};
use sqlx::{
    Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use uuid::Uuid;

use crate::{
    ViewError,
    files::{self, Lock, model_path},
};

/// How long a connection waits for another one's transaction.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// One open generation of a projection in SQLite.
#[derive(Debug)]
pub struct Model {
    pub(crate) name: &'static str,
    pub(crate) generation: Generation,
    pub(crate) path: PathBuf,
    /// The one connection that writes.
    pub(crate) writer: SqlitePool,
    pub(crate) reader: SqlitePool,
    _lock: Arc<Lock>,
}

impl Model {
    /// Opens a generation. One that is to be written gets its place for the checkpoint.
    pub(crate) async fn open(
        directory: &Path,
        name: &'static str,
        generation: Generation,
        version: u32,
        readers: u32,
        lock: &Arc<Lock>,
    ) -> Result<Self, ViewError> {
        let path = model_path(directory, name, generation);
        let (writer, reader) = (writer(&path), reader(&path, readers));
        if generation.version == version {
            // Two columns of text for the ids, so that whoever opens the file can read them.
            let create = "CREATE TABLE IF NOT EXISTS mainspring_checkpoint (
                id INTEGER PRIMARY KEY CHECK (id = 0),
                store TEXT NOT NULL, lineage TEXT NOT NULL, position INTEGER NOT NULL) STRICT";
            sqlx::query(create).execute(&writer).await?;
        }
        Ok(Self { name, generation, path, writer, reader, _lock: lock.clone() })
    }
}

/// What users read a file with. It cannot write.
pub(crate) fn reader(path: &Path, connections: u32) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_TIMEOUT);
    SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false).connect_lazy_with(options)
}

/// The committed checkpoint of a file; `None` when its tables have not been created, or it is not there.
pub(crate) async fn checkpoint(path: &Path, reader: &SqlitePool) -> Result<Option<Checkpoint>, ViewError> {
    if !files::exists(path).await? {
        return Ok(None);
    }
    let mut connection = reader.acquire().await?;
    let table = "SELECT count(*) FROM sqlite_schema WHERE name = 'mainspring_checkpoint'";
    if sqlx::query_scalar::<_, i64>(table).fetch_one(&mut *connection).await? == 0 {
        return Ok(None);
    }
    read_checkpoint(path, &mut connection).await
}

/// The checkpoint as `connection` sees it.
pub(crate) async fn read_checkpoint(
    path: &Path,
    connection: &mut SqliteConnection,
) -> Result<Option<Checkpoint>, ViewError> {
    let query = "SELECT store, lineage, position FROM mainspring_checkpoint";
    let Some(row) = sqlx::query(query).fetch_optional(connection).await? else { return Ok(None) };
    let damaged = || ViewError::Damaged { path: path.to_owned() };
    let id = |column: usize| Uuid::parse_str(row.try_get(column)?).map_err(|_| damaged());
    let position: i64 = row.try_get(2)?;
    Ok(Some(Checkpoint {
        store: StoreId::from_uuid(id(0)?),
        lineage: Lineage::from_uuid(id(1)?),
        position: Position(u64::try_from(position).map_err(|_| damaged())?),
    }))
}

/// Writes the checkpoint inside the transaction of `connection`.
pub(crate) async fn write_checkpoint(connection: &mut SqliteConnection, checkpoint: Checkpoint) -> sqlx::Result<()> {
    let position = i64::try_from(checkpoint.position.0).map_err(|error| sqlx::Error::Encode(error.into()))?;
    let write = "INSERT INTO mainspring_checkpoint (id, store, lineage, position) VALUES (0, ?, ?, ?)
                 ON CONFLICT (id) DO UPDATE SET
                 store = excluded.store, lineage = excluded.lineage, position = excluded.position";
    let (store, lineage) = (checkpoint.store.to_string(), checkpoint.lineage.to_string());
    sqlx::query(write).bind(store).bind(lineage).bind(position).execute(connection).await?;
    Ok(())
}

/// The one connection that writes a file, kept open.
fn writer(path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", "-16000");
    let pool = SqlitePoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    pool.test_before_acquire(false).connect_lazy_with(options)
}
