//! The inbox in SQLite: which deliveries a handler has handled, in the same transaction as what it wrote.

use std::time::Duration;

use mainspring_event::EventId;
use mainspring_messaging::{Inbox, Seen};
use sqlx::{SqliteConnection, SqlitePool, Transaction};

/// SQLite, for handlers that take `Once<Sqlite>`: a transaction of a [`SqlitePool`] that is a part of their state. It
/// takes the write lock when it begins, so what two handlers write never crosses.
///
/// The table `mainspring_inbox` is created where it is missing. Its entries expire after [`WINDOW`].
#[derive(Clone, Copy, Debug)]
pub struct Sqlite;

/// Entries are kept for so long, and some time more: a message that comes again after that is handled again.
pub const WINDOW: Duration = Duration::from_secs(7 * 24 * 3_600);

impl Inbox for Sqlite {
    type Pool = SqlitePool;
    type Tx = Transaction<'static, sqlx::Sqlite>;
    type Error = sqlx::Error;

    async fn begin(pool: &SqlitePool) -> Result<Self::Tx, sqlx::Error> {
        // With the write lock from the beginning: a transaction that reads first and writes later can fail for good.
        pool.begin_with("BEGIN IMMEDIATE").await
    }

    async fn record(tx: &mut Self::Tx, handler: &str, id: EventId) -> Result<Seen, sqlx::Error> {
        once(tx, handler, id).await
    }

    async fn commit(tx: Self::Tx) -> Result<(), sqlx::Error> {
        tx.commit().await
    }
}

/// Records in the caller's transaction that `handler` handles the delivery `id`, and says whether it has done so before.
/// Whatever the caller writes then belongs into the same transaction.
///
/// # Errors
/// [`sqlx::Error`] when SQLite refuses; the transaction is to be rolled back then.
pub async fn once(tx: &mut Transaction<'_, sqlx::Sqlite>, handler: &str, id: EventId) -> Result<Seen, sqlx::Error> {
    once_within(tx, handler, id, WINDOW).await
}

/// The same, and entries older than `window` expire.
///
/// # Errors
/// [`sqlx::Error`] as of [`once`].
pub async fn once_within(
    tx: &mut Transaction<'_, sqlx::Sqlite>,
    handler: &str,
    id: EventId,
    window: Duration,
) -> Result<Seen, sqlx::Error> {
    let inserted = match insert(tx, handler, id).await {
        Err(sqlx::Error::Database(error)) if error.message().contains("no such table") => {
            create(tx).await?;
            insert(tx, handler, id).await?
        }
        inserted => inserted?,
    };
    if !inserted {
        return Ok(Seen::Duplicate);
    }
    expire(tx, window).await?;
    Ok(Seen::First)
}

async fn insert(db: &mut SqliteConnection, handler: &str, id: EventId) -> Result<bool, sqlx::Error> {
    let insert = "INSERT INTO mainspring_inbox VALUES (?1, ?2, unixepoch()) ON CONFLICT DO NOTHING";
    let done = sqlx::query(insert).bind(handler).bind(&id.to_bytes()[..]).execute(db).await?;
    Ok(done.rows_affected() == 1)
}

/// Two for each that comes, so that the table shrinks to its window again and no delivery pays for many.
async fn expire(db: &mut SqliteConnection, window: Duration) -> Result<(), sqlx::Error> {
    let seconds = i64::try_from(window.as_secs()).unwrap_or(i64::MAX);
    let delete = "DELETE FROM mainspring_inbox WHERE (handler, id) IN (SELECT handler, id FROM mainspring_inbox \
                  WHERE handled < unixepoch() - ?1 ORDER BY handled LIMIT 2)";
    sqlx::query(delete).bind(seconds).execute(db).await?;
    Ok(())
}

async fn create(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let table = "CREATE TABLE IF NOT EXISTS mainspring_inbox (handler TEXT NOT NULL, id BLOB NOT NULL, \
                 handled INTEGER NOT NULL, PRIMARY KEY (handler, id)) WITHOUT ROWID";
    sqlx::query(table).execute(&mut *db).await?;
    sqlx::query("CREATE INDEX IF NOT EXISTS mainspring_inbox_handled ON mainspring_inbox (handled)")
        .execute(db)
        .await?;
    Ok(())
}
