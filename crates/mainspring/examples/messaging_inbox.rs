//! The inbox: a message that comes twice has its effect in the database once.
use mainspring::{
    App, Delivered, Event, Failure, Once, Subscription, Subscriptions,
    sqlite::{Sqlite, inbox},
};
use serde::{Deserialize, Serialize};
use sqlx::{SqlitePool, query, query_scalar, sqlite::SqliteConnectOptions};

#[derive(Serialize, Deserialize, Event)]
struct PaymentArrived {
    order: i64,
    cents: i64,
}

/// The row, and the note that this delivery was handled, are one transaction; it is committed before the message is
/// acknowledged. If that acknowledgement is lost, the message comes again, is known, and the handler does not run.
async fn book(payment: Delivered<PaymentArrived>, mut tx: Once<Sqlite>) -> Result<(), Failure> {
    let PaymentArrived { order, cents } = payment.event;
    query("INSERT INTO payments VALUES (?1, ?2)").bind(order).bind(cents).execute(&mut **tx).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename("payments.sqlite").create_if_missing(true);
    let db = SqlitePool::connect_with(options).await?; // the state of the handlers: where `Once` begins
    query("CREATE TABLE IF NOT EXISTS payments (\"order\" INTEGER, cents INTEGER)").execute(&db).await?;
    let mut app = App::open("memory:").await?;
    let on = Subscription::new("payments", "bookkeeping");
    let controls = app.subscribe(Subscriptions::new(db.clone()).on(on, book)).await?;
    let publisher = app.publisher().await?;
    app.run_until(async {
        let payment = publisher.publish("payments", &PaymentArrived { order: 17, cents: 2_354 }).into_message()?;
        let id = payment.envelope.as_ref().map(|envelope| envelope.id);
        for _ in 0..3 {
            publisher.send(payment.clone()).await?; // whoever sends it has not heard the answers
        }
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(2));
        while controls.metrics()[0].events.values().map(|of_type| of_type.succeeded).sum::<u64>() < 3 {
            looks.tick().await;
        }
        let (rows, cents): (i64, i64) =
            sqlx::query_as("SELECT count(*), sum(cents) FROM payments").fetch_one(&db).await?;
        println!("3 deliveries, {rows} row, {cents} cents");

        // The same in a service without the runtime, in a transaction of its own.
        let mut tx = db.begin().await?;
        let seen = inbox::once(&mut tx, "bookkeeping", id.expect("an event has an id")).await?;
        println!("known: {}", seen.is_duplicate());
        assert_eq!(query_scalar::<_, i64>("SELECT count(*) FROM payments").fetch_one(&mut *tx).await?, rows);
        Ok(())
    })
    .await?
}
