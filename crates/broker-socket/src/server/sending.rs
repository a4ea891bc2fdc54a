//! What clients send: admitted batch by batch in the order of the connection, because a send that begins after another
//! was admitted follows it; confirmed whenever the broker confirms.

use std::io;

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use mainspring_broker::{Broker, Message};
use tokio::sync::mpsc;

use super::connection::{Charge, reply};
use crate::{frame::Outbox, protocol::Reply};

/// A batch that waits for its admission.
type Queued = (u64, Vec<Message>, Charge);

/// Confirmations that are awaited.
type Confirming<'a> = FuturesUnordered<BoxFuture<'a, io::Result<()>>>;

/// Sends what is queued for as long as the connection lasts.
pub(super) async fn admit(
    broker: &dyn Broker,
    mut queue: mpsc::UnboundedReceiver<Queued>,
    outbox: &Outbox,
) -> io::Result<()> {
    let mut confirming = Confirming::new();
    loop {
        // Confirmations may only come when they are asked for, so they are asked for all the time.
        let Some((number, batch, charge)) = meanwhile(&mut confirming, queue.recv()).await? else { return Ok(()) };
        match meanwhile(&mut confirming, broker.send(batch)).await? {
            Err(error) => reply(outbox, number, Reply::NotAdmitted(error)).await?,
            Ok(mut confirmations) => match (&mut confirmations).now_or_never() {
                Some(answers) => reply(outbox, number, Reply::Confirmed(answers)).await?,
                None => {
                    reply(outbox, number, Reply::Admitted).await?;
                    let confirmed = async move {
                        let answers = confirmations.await;
                        reply(outbox, number, Reply::Confirmed(answers)).await?;
                        drop(charge);
                        Ok(())
                    };
                    confirming.push(confirmed.boxed());
                }
            },
        }
    }
}

/// Waits for `future` while confirmations come.
async fn meanwhile<T>(confirming: &mut Confirming<'_>, future: impl Future<Output = T>) -> io::Result<T> {
    tokio::pin!(future);
    loop {
        tokio::select! {
            done = &mut future => return Ok(done),
            Some(confirmed) = confirming.next(), if !confirming.is_empty() => confirmed?,
        }
    }
}
