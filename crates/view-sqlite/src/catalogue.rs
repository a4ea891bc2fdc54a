//! The catalogue: which generations there are, and which of them readers see.
//!
//! It is a small database of its own, because programs and operators change it at the same time. It is written seldom and
//! therefore with full synchronisation: a switch that was reported survives power loss.

use std::path::{Path, PathBuf};

use mainspring_projection::{Generation, Opened};
use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};

use crate::{
    ViewError,
    files::{self, model_path},
    model::BUSY_TIMEOUT,
    plan::{Plan, State, plan},
};

/// What `PRAGMA user_version` of the catalogue says.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
    CREATE TABLE generations (
        name TEXT NOT NULL, version INTEGER NOT NULL, number INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('current', 'building', 'retired')),
        PRIMARY KEY (name, version, number)
    ) STRICT;
    CREATE UNIQUE INDEX one_current ON generations (name) WHERE state = 'current';
    CREATE TABLE rebuilds (name TEXT PRIMARY KEY) STRICT;
    PRAGMA user_version = 1;";

#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    directory: PathBuf,
}

/// One row of the catalogue.
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) generation: Generation,
    pub(crate) state: State,
    pub(crate) rebuild_asked: bool,
}

impl Catalogue {
    /// Opens the catalogue of a directory, creating both where they are missing.
    pub(crate) async fn open(directory: &Path) -> Result<Self, ViewError> {
        files::create_directory(directory).await?;
        let catalogue = Self { directory: directory.to_owned() };
        let mut db = catalogue.connect().await?;
        let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
        match sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *tx).await? {
            0 => {
                sqlx::raw_sql(SCHEMA).execute(&mut *tx).await?;
            }
            FORMAT => {}
            found => {
                let directory = directory.to_owned();
                return Err(ViewError::FromTheFuture { directory, found, known: FORMAT });
            }
        }
        tx.commit().await?;
        Ok(catalogue)
    }

    /// Decides what a program with `version` of the projection reads and builds, and records it. Whoever calls holds the
    /// lock of this version.
    pub(crate) async fn choose(&self, name: &str, version: u32) -> Result<Opened<Generation>, ViewError> {
        let mut db = self.connect().await?;
        let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
        let asked = sqlx::query("DELETE FROM rebuilds WHERE name = ?").bind(name).execute(&mut *tx).await?;
        let known = self.known(&mut tx, name).await?;
        let Plan { opened, changed, fresh, obsolete } = plan(&known, version, asked.rows_affected() > 0);
        for generation in obsolete {
            // Another program may be at work on its version; then that program removes it.
            let other = generation.version != version;
            let lock = if other { Some(files::lock(&self.directory, name, generation.version).await) } else { None };
            match lock {
                Some(Err(ViewError::Locked { .. })) => continue,
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) | None => {}
            }
            files::remove(&model_path(&self.directory, name, generation)).await?;
            forget(&mut tx, name, generation).await?;
        }
        if let Some(fresh) = fresh {
            files::remove(&model_path(&self.directory, name, fresh)).await?;
        }
        for (generation, state) in changed {
            set_state(&mut tx, name, generation, state).await?;
        }
        tx.commit().await?;
        Ok(opened)
    }

    /// Makes a generation the one that readers see.
    pub(crate) async fn promote(&self, name: &str, generation: Generation) -> Result<(), ViewError> {
        let mut db = self.connect().await?;
        let mut tx = db.begin_with("BEGIN IMMEDIATE").await?;
        let retire = "UPDATE generations SET state = 'retired' WHERE name = ? AND state = 'current'";
        sqlx::query(retire).bind(name).execute(&mut *tx).await?;
        set_state(&mut tx, name, generation, State::Current).await?;
        Ok(tx.commit().await?)
    }

    /// Records that the projection is to be built anew.
    pub(crate) async fn ask_for_rebuild(&self, name: &str) -> Result<(), ViewError> {
        let mut db = self.connect().await?;
        let ask = "INSERT OR IGNORE INTO rebuilds SELECT DISTINCT name FROM generations WHERE name = ?";
        sqlx::query(ask).bind(name).execute(&mut db).await?;
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM rebuilds WHERE name = ?").bind(name).fetch_one(&mut db).await?;
        if known > 0 { Ok(()) } else { Err(self.unknown(name)) }
    }

    /// Everything there is, by name and age.
    pub(crate) async fn entries(&self) -> Result<Vec<Entry>, ViewError> {
        let mut db = self.connect().await?;
        let query = "SELECT name, version, number, state, name IN (SELECT name FROM rebuilds)
                     FROM generations ORDER BY name, version, number";
        let rows = sqlx::query(query).fetch_all(&mut db).await?;
        let entries = rows.iter().map(|row| {
            let generation = Generation { version: row.try_get(1)?, number: row.try_get(2)? };
            Ok(Entry {
                name: row.try_get(0)?,
                generation,
                state: state(row.try_get(3)?),
                rebuild_asked: row.try_get(4)?,
            })
        });
        entries.collect()
    }

    pub(crate) fn unknown(&self, name: &str) -> ViewError {
        ViewError::Unknown { name: name.to_owned(), directory: self.directory.clone() }
    }

    /// The generations of a projection, without a current one whose file was taken away.
    async fn known(&self, tx: &mut SqliteConnection, name: &str) -> Result<Vec<(Generation, State)>, ViewError> {
        let query = "SELECT version, number, state FROM generations WHERE name = ?";
        let rows = sqlx::query(query).bind(name).fetch_all(&mut *tx).await?;
        let mut known = Vec::with_capacity(rows.len());
        for row in rows {
            let generation = Generation { version: row.try_get(0)?, number: row.try_get(1)? };
            let state = state(row.try_get(2)?);
            if state == State::Current && !files::exists(&model_path(&self.directory, name, generation)).await? {
                forget(tx, name, generation).await?;
            } else {
                known.push((generation, state));
            }
        }
        Ok(known)
    }

    async fn connect(&self) -> Result<SqliteConnection, ViewError> {
        let options = SqliteConnectOptions::new()
            .filename(self.directory.join("catalogue.sqlite"))
            .create_if_missing(true)
            .synchronous(SqliteSynchronous::Extra)
            .busy_timeout(BUSY_TIMEOUT);
        Ok(options.connect().await?)
    }
}

async fn forget(tx: &mut SqliteConnection, name: &str, generation: Generation) -> Result<(), ViewError> {
    let forget = "DELETE FROM generations WHERE name = ? AND version = ? AND number = ?";
    sqlx::query(forget).bind(name).bind(generation.version).bind(generation.number).execute(tx).await?;
    Ok(())
}

async fn set_state(
    tx: &mut SqliteConnection,
    name: &str,
    generation: Generation,
    state: State,
) -> Result<(), ViewError> {
    let word = match state {
        State::Current => "current",
        State::Building => "building",
        State::Retired => "retired",
    };
    let set = "INSERT INTO generations (name, version, number, state) VALUES (?, ?, ?, ?)
               ON CONFLICT (name, version, number) DO UPDATE SET state = excluded.state";
    let set = sqlx::query(set).bind(name).bind(generation.version).bind(generation.number).bind(word);
    set.execute(tx).await?;
    Ok(())
}

/// The schema admits no other words than these.
fn state(word: &str) -> State {
    match word {
        "current" => State::Current,
        "building" => State::Building,
        _ => State::Retired,
    }
}
