//! SQLite as an honest event store: one row an event, unique by stream and version, found again by tag.

use anyhow::Context;
use peer_driver::{About, Event, Peer};
use rusqlite::{Connection, OptionalExtension, params};
use tokio::sync::Mutex;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE events (
        position INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        type TEXT NOT NULL,
        payload BLOB NOT NULL,
        UNIQUE (stream, version)
    );
    CREATE TABLE tags (tag TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (tag, position)) WITHOUT ROWID;
";

struct Sqlite {
    /// SQLite has one writer at a time; waiting here is cheaper and fairer than its busy handler.
    connection: Mutex<Connection>,
}

impl Peer for Sqlite {
    type Append = Vec<Event>;

    fn about(&self) -> About {
        About {
            name: format!("SQLite {}", rusqlite::version()),
            durability: "WAL, synchronous=FULL: fsync of the log in every transaction",
            stream_versions: true,
            note: "one transaction an append; no group commit between clients",
            servers: Vec::new(),
        }
    }

    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Vec<Event>> {
        Ok(events)
    }

    async fn append(&self, events: Vec<Event>) -> anyhow::Result<()> {
        write(&mut *self.connection.lock().await, &events)
    }
}

fn write(connection: &mut Connection, events: &[Event]) -> anyhow::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut head =
            transaction.prepare_cached("SELECT version FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1")?;
        let mut insert = transaction
            .prepare_cached("INSERT INTO events (id, stream, version, type, payload) VALUES (?, ?, ?, ?, ?)")?;
        let mut tag = transaction.prepare_cached("INSERT INTO tags (tag, position) VALUES (?, ?)")?;
        for event in events {
            let version: Option<i64> = head.query_row([&event.stream], |row| row.get(0)).optional()?;
            let version = version.unwrap_or(0) + 1;
            let id = event.id.as_bytes().as_slice();
            let position = insert.insert(params![id, event.stream, version, event.event_type, event.payload])?;
            for name in &event.tags {
                tag.execute(params![name, position])?;
            }
        }
    }
    Ok(transaction.commit()?)
}

fn main() -> anyhow::Result<()> {
    peer_driver::run(async |directory: std::path::PathBuf| {
        let connection = Connection::open(directory.join("events.db"))?;
        connection.execute_batch(SCHEMA).context("cannot make the tables")?;
        Ok(Sqlite { connection: Mutex::new(connection) })
    })
}
