//! A connection that is a member of a group: when it ends, the member is gone as after a crash.

use std::{
    io,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use mainspring_broker::{Broker, Settler, SubscriptionSpec};
use tokio::sync::{mpsc, watch};

use super::{
    Stop,
    connection::{Charge, Incoming, misplaced, reply},
    fetching::{Asked, Fetching},
};
use crate::{
    frame::Outbox,
    protocol::{Reply, Request},
};

/// Subscribes and serves the member until its connection ends or the server stops.
pub(super) async fn run(
    broker: &dyn Broker,
    (number, spec, charge): (u64, SubscriptionSpec, Charge),
    incoming: &mut Incoming,
    outbox: &Outbox,
    mut stop: Stop,
) -> io::Result<()> {
    let subscribed = tokio::select! {
        () = stop.wanted() => return Ok(()),
        subscribed = broker.subscribe(spec) => subscribed,
    };
    let (deliveries, settler) = match subscribed {
        Ok(member) => member,
        Err(error) => {
            reply(outbox, number, Reply::Done(Err(error))).await?;
            // The client ends the connection when it has read that.
            return tokio::select! {
                () = stop.wanted() => Ok(()),
                error = outbox.flush() => Err(error),
                ended = incoming.next() => ended.map(|_| ()),
            };
        }
    };
    let (mut fetching, progress) = Fetching::new(deliveries, settler.clone());
    let (queue, mut queued) = mpsc::unbounded_channel();
    let served = async {
        reply(outbox, number, Reply::Done(Ok(()))).await?;
        drop(charge);
        requests(&*settler, (queue, progress), &mut *incoming, outbox).await
    };
    let ended = tokio::select! {
        () = stop.wanted() => Ok(()),
        error = outbox.flush() => Err(error),
        ended = fetching.run(&mut queued, outbox) => ended,
        ended = served => ended,
    };
    // The client ends, too, so that everything that it still has said can be read.
    outbox.close();
    fetching.end(queued, incoming).await;
    ended
}

/// Answers what concerns settling, and passes on what concerns fetching, which then comes first: a client that has
/// stopped waiting and is then answered anything knows that nothing is on its way to it any more.
async fn requests(
    settler: &dyn Settler,
    (fetching, progress): (mpsc::UnboundedSender<Asked>, watch::Receiver<u64>),
    incoming: &mut Incoming,
    outbox: &Outbox,
) -> io::Result<()> {
    let mut under_way = FuturesUnordered::new();
    let mut passed_on = 0;
    loop {
        tokio::select! {
            request = incoming.next() => {
                let Some((number, request, charge)) = request? else { return Ok(()) };
                match request {
                    Request::Next(_) | Request::Forget(_) | Request::Taken(_) | Request::StopFetching
                    | Request::GiveUp(_) => {
                        fetching.send((number, request, charge)).map_err(|_| io::ErrorKind::BrokenPipe)?;
                        passed_on += 1;
                    }
                    request => under_way.push(behind(progress.clone(), passed_on, async move {
                        let answer = answer(settler, request).await?;
                        reply(outbox, number, answer).await?;
                        drop(charge);
                        Ok(())
                    })),
                }
            }
            Some(answered) = under_way.next(), if !under_way.is_empty() => answered?,
        }
    }
}

/// Does something when so many requests about fetching are done.
async fn behind(
    mut progress: watch::Receiver<u64>,
    count: u64,
    then: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    progress.wait_for(|done| *done >= count).await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    then.await
}

async fn answer(settler: &dyn Settler, request: Request) -> io::Result<Reply> {
    Ok(match request {
        Request::Settle(outcomes) => Reply::Settled(settler.settle(outcomes).await),
        Request::Extend(tags, by) => Reply::Settled(settler.extend(&tags, by).await),
        Request::Commit(outcomes, out) => Reply::Committed(settler.commit(outcomes, out).await),
        Request::Seek(to) => Reply::Done(settler.seek(to).await),
        Request::Pause(slices, paused) => Reply::Done(settler.pause(&slices, paused).await),
        Request::Close(within) => Reply::Done(settler.close(deadline(within)).await),
        _ => return Err(misplaced()),
    })
}

/// Later than can be said is in a year.
fn deadline(within: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(366 * 24 * 3_600);
    let now = Instant::now();
    now.checked_add(within).unwrap_or(now + YEAR)
}
