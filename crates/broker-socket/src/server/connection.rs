//! One connection: reads requests, answers them as their answers come, and ends without a trace in the memory of others.
//!
//! Everything that belongs to a connection runs in one task, so it ends with it. Each request is charged to the budget
//! of its connection until it is answered, by its bytes: whoever asks without reading answers is not read any more.

use std::{io, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use mainspring_broker::{Admin, Broker, BrokerError};
use tokio::{
    net::UnixStream,
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc},
    time,
};

use super::{Stop, member, sending};
use crate::{
    frame::{Frames, Outbox},
    handshake,
    protocol::{self, MAX_BATCH, MAX_FRAME, Reply, Request},
};

/// How long a stranger may take for its first words.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of requests that are not answered yet. The longest frame fits.
const BUDGET: usize = 32 << 20;

/// The least that a request is charged with, because memory is spent on short ones, too.
const LEAST: usize = 8 << 10;

/// Gives back what a request was charged with.
pub(super) type Charge = OwnedSemaphorePermit;

/// Serves one connection until it ends or the server stops.
pub(super) async fn run(mut stream: UnixStream, broker: Arc<dyn Broker>, is_full: bool, mut stop: Stop) {
    let has_admin = broker.admin().is_some();
    let welcomed = time::timeout(PATIENCE, handshake::welcome(&mut stream, has_admin, is_full));
    let welcomed = tokio::select! {
        () = stop.wanted() => return,
        welcomed = welcomed => welcomed,
    };
    if !matches!(welcomed, Ok(Ok(true))) {
        tracing::debug!("a connection to the broker socket did not begin as it should");
        return;
    }
    let (read, write) = stream.into_split();
    let mut incoming = Incoming { frames: Frames::new(read), budget: Arc::new(Semaphore::new(BUDGET)) };
    let outbox = Outbox::new(write);
    let ended = tokio::select! {
        () = stop.wanted() => return,
        first = incoming.next() => first,
    };
    let ended = match ended {
        Ok(Some((number, Request::Subscribe(spec), charge))) => {
            member::run(&*broker, (number, spec, charge), &mut incoming, &outbox, stop).await
        }
        Ok(Some(first)) => tokio::select! {
            () = stop.wanted() => Ok(()),
            error = outbox.flush() => Err(error),
            ended = requests(&*broker, first, &mut incoming, &outbox) => ended,
        },
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    outbox.close();
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the broker socket was cut");
    }
}

/// Requests as they come.
pub(super) struct Incoming {
    frames: Frames,
    budget: Arc<Semaphore>,
}

impl Incoming {
    /// The next request, or nothing when the client has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<(u64, Request, Charge)>> {
        let Some(length) = self.frames.head().await? else { return Ok(None) };
        let cost = u32::try_from(length.clamp(LEAST, MAX_FRAME)).expect("a frame is smaller than 4 GiB");
        let charge = self.budget.clone().acquire_many_owned(cost).await.expect("the budget is never closed");
        let frame = self.frames.body(length).await?;
        let (number, request) =
            protocol::content(frame).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some((number, request, charge)))
    }
}

/// The client asked what is not asked on such a connection.
pub(super) fn misplaced() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a request that belongs to another kind of connection, or comes too late",
    )
}

/// Answers when there is room for the answer.
pub(super) async fn reply(outbox: &Outbox, number: u64, mut reply: Reply) -> io::Result<()> {
    outbox.room().await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    let frame = loop {
        match protocol::frame(number, &reply) {
            Ok(frame) => break frame,
            Err(length) => reply = shorter(reply, length).ok_or(io::ErrorKind::InvalidData)?,
        }
    };
    outbox.push(frame).map_err(|_| io::ErrorKind::BrokenPipe)?;
    Ok(())
}

/// What is said instead of an answer that is too long: of lists that may be shorter, the first half; or what is wrong.
fn shorter(reply: Reply, length: usize) -> Option<Reply> {
    let told = format!("the answer would have {length} bytes, the socket takes {MAX_FRAME}");
    let error = BrokerError::Failed(told.into());
    Some(match reply {
        Reply::Pending(Ok(mut list)) if list.len() > 1 => {
            list.truncate(list.len() / 2);
            Reply::Pending(Ok(list))
        }
        Reply::Scheduled(Ok(mut list)) if list.len() > 1 => {
            list.truncate(list.len() / 2);
            Reply::Scheduled(Ok(list))
        }
        Reply::Pending(Ok(_)) => Reply::Pending(Err(error)),
        Reply::Scheduled(Ok(_)) => Reply::Scheduled(Err(error)),
        Reply::Found(Ok(_)) => Reply::Found(Err(error)),
        Reply::Topics(Ok(_)) => Reply::Topics(Err(error)),
        Reply::Groups(Ok(_)) => Reply::Groups(Err(error)),
        Reply::Ensured(Ok(_)) => Reply::Ensured(Err(error)),
        // All others are short; the connection ends rather than that one is left unanswered.
        _ => return None,
    })
}

/// Answers the requests of a connection that is no member.
async fn requests(
    broker: &dyn Broker,
    first: (u64, Request, Charge),
    incoming: &mut Incoming,
    outbox: &Outbox,
) -> io::Result<()> {
    // Not longer than the budget lets it be.
    let (queue, queued) = mpsc::unbounded_channel();
    let sending = sending::admit(broker, queued, outbox);
    tokio::pin!(sending);
    // Lists can be long, so there is one at a time, and none before there is room for it.
    let turn = Mutex::new(());
    let mut under_way = FuturesUnordered::new();
    let mut next = Some(first);
    loop {
        match next.take() {
            Some((number, Request::Send(batch), charge)) => {
                queue.send((number, batch, charge)).map_err(|_| io::ErrorKind::BrokenPipe)?;
            }
            Some((number, request, charge)) => under_way.push(answer(broker, &turn, (number, request, charge), outbox)),
            None => {}
        }
        tokio::select! {
            request = incoming.next() => match request? {
                Some(request) => next = Some(request),
                None => return Ok(()),
            },
            Some(answered) = under_way.next(), if !under_way.is_empty() => answered?,
            ended = &mut sending => return ended,
        }
    }
}

async fn answer(
    broker: &dyn Broker,
    turn: &Mutex<()>,
    (number, request, charge): (u64, Request, Charge),
    outbox: &Outbox,
) -> io::Result<()> {
    let _turn = turn.lock().await;
    outbox.room().await.map_err(|_| io::ErrorKind::BrokenPipe)?;
    let answer = match request {
        Request::Ensure(topology, mode) => Reply::Ensured(broker.ensure(&topology, mode).await),
        Request::Capabilities(of) => Reply::Capabilities(broker.capabilities(&of).await),
        request => match broker.admin() {
            Some(admin) => operate(admin, request).await?,
            None => return Err(misplaced()),
        },
    };
    reply(outbox, number, answer).await?;
    drop(charge);
    Ok(())
}

async fn operate(admin: &dyn Admin, request: Request) -> io::Result<Reply> {
    Ok(match request {
        Request::Topics => Reply::Topics(admin.topics().await),
        Request::Groups => Reply::Groups(admin.groups().await),
        Request::Browse(group, limit) => Reply::Pending(admin.browse(&group, limit.min(MAX_BATCH.messages)).await),
        Request::Find(group, place) => Reply::Found(admin.find(&group, &place).await.map(|found| found.map(Box::new))),
        Request::Purge(group) => Reply::Count(admin.purge(&group).await),
        Request::Schedules(limit) => Reply::Scheduled(admin.schedules(limit.min(MAX_BATCH.messages)).await),
        Request::Remove(group, places) => Reply::Count(admin.remove(&group, &places).await),
        Request::Resubmit(from, place, message) => Reply::Resubmitted(admin.resubmit(&from, &place, *message).await),
        Request::Cancel(id) => Reply::Cancelled(admin.cancel(&id).await),
        Request::Resume(group, key, how) => Reply::Count(admin.resume(&group, &key, how).await),
        _ => return Err(misplaced()),
    })
}
