//! Mails: one for each confirmed order, through a service outside that knows what it was asked before.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result};
use mainspring::{Batch, Failure, State};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use super::OrderConfirmed;
use crate::OrderId;

/// The service refuses the mail of this order until it has been asked often enough, as services do with strangers. It is
/// one time more than its handler tries, so the demo has a dead letter, and sending that again works.
const STRANGER: OrderId = OrderId(113);
const REFUSALS: i64 = 3;

/// A stand-in for the service that sends mails: a program of somebody else, with a database of its own. It sends what it is
/// asked for once for each operation id, as such services do, which is what makes "at least once" enough.
#[derive(Clone)]
pub(crate) struct MailService(SqlitePool);

/// The service does not take a mail now.
#[derive(Debug, thiserror::Error)]
#[error("the mailbox of order {order} is not open to strangers yet (refusal {refusal} of {REFUSALS})")]
struct Refused {
    order: OrderId,
    refusal: i64,
}

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS mails (operation TEXT PRIMARY KEY, \"order\" INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS refusals (operation TEXT PRIMARY KEY, times INTEGER NOT NULL) WITHOUT ROWID";

const SEND: &str =
    "INSERT INTO mails SELECT value ->> 0, value ->> 1 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING";

const REFUSE: &str = "
    INSERT INTO refusals VALUES (?1, 1) ON CONFLICT (operation) DO UPDATE SET times = times + 1 RETURNING times";

impl MailService {
    /// The service, whose database lies in `directory`.
    pub(crate) async fn open(directory: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new().filename(directory.join("mail-service.sqlite"));
        let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let pool = SqlitePool::connect_with(options.synchronous(SqliteSynchronous::Normal)).await;
        let pool = pool.context("the service that sends mails cannot be reached")?;
        sqlx::raw_sql(TABLES).execute(&pool).await?;
        Ok(Self(pool))
    }

    /// How many mails each order got, of those that got any.
    pub(crate) async fn sent(&self) -> Result<BTreeMap<u64, u64>> {
        let mut sent = BTreeMap::new();
        for order in sqlx::query_scalar::<_, i64>("SELECT \"order\" FROM mails").fetch_all(&self.0).await? {
            *sent.entry(order.try_into()?).or_default() += 1;
        }
        Ok(sent)
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    /// Sends mails, each of them once for its operation.
    async fn send(&self, mails: &[(String, OrderId)]) -> Result<(), sqlx::Error> {
        let rows = serde_json::to_string(mails).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query(SEND).bind(rows).execute(&self.0).await?;
        Ok(())
    }

    /// Whether the service takes the mail of a stranger by now.
    async fn refuses(&self, operation: &str, order: OrderId) -> Result<Option<Refused>, sqlx::Error> {
        let refusal: i64 = sqlx::query_scalar(REFUSE).bind(operation).fetch_one(&self.0).await?;
        Ok((refusal <= REFUSALS).then_some(Refused { order, refusal }))
    }
}

/// Sends a mail for each order. The operation id is that of the message, so one that comes again is no second mail.
pub(super) async fn notify(
    confirmed: Batch<OrderConfirmed>,
    State(mails): State<MailService>,
) -> Result<Vec<Result<(), Failure>>, Failure> {
    let (mut taken, mut answers) = (Vec::with_capacity(confirmed.len()), Vec::with_capacity(confirmed.len()));
    for one in &*confirmed {
        let operation = one.id().ok_or("a message without an id could be sent twice")?.to_string();
        let order = one.event.order;
        let refused = if order == STRANGER { mails.refuses(&operation, order).await? } else { None };
        if refused.is_none() {
            taken.push((operation, order));
        }
        answers.push(refused.map_or(Ok(()), |refused| Err(refused.into())));
    }
    mails.send(&taken).await?;
    Ok(answers)
}
