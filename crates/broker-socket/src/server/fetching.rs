//! What comes to one member, handed over question by question.
//!
//! The broker counts an attempt when it gives a batch to this process. It was none before the client has it in its hands
//! and says so (`Taken`); so what was answered and not taken is given back by [`Outcome::Release`], whether the client has
//! stopped waiting for it (`Forget`) or the connection has ended.

use std::{collections::BTreeMap, future::pending, io, sync::Arc, time::Duration};

use mainspring_broker::{BrokerError, Deliveries, Delivery, DeliveryTag, Handover, Limit, Next, Outcome, Settler};
use tokio::{
    sync::{mpsc, watch},
    time,
};

use super::connection::{Charge, Incoming, misplaced, reply};
use crate::{
    frame::Outbox,
    protocol::{self, MAX_BATCH, Reply, Request, Told},
};

/// How long giving back may take when the connection has ended; later, leases end by themselves.
const GIVING_BACK: Duration = Duration::from_secs(5);

/// A request about fetching.
pub(super) type Asked = (u64, Request, Charge);

/// The fetching half of a member.
pub(super) struct Fetching {
    /// Nothing after `StopFetching`.
    deliveries: Option<Box<dyn Deliveries>>,
    settler: Arc<dyn Settler>,
    /// The last batch that was answered.
    last: Option<Answered>,
    /// Handovers that the client has not ended.
    handovers: BTreeMap<u64, Handover>,
    /// How many handovers there were.
    counted: u64,
    /// How many requests are done.
    progress: watch::Sender<u64>,
}

struct Answered {
    question: u64,
    tags: Vec<DeliveryTag>,
    taken: bool,
}

impl Fetching {
    /// With what tells how many requests are done.
    pub(super) fn new(deliveries: Box<dyn Deliveries>, settler: Arc<dyn Settler>) -> (Self, watch::Receiver<u64>) {
        let (progress, done) = watch::channel(0);
        let deliveries = Some(deliveries);
        (Self { deliveries, settler, last: None, handovers: BTreeMap::new(), counted: 0, progress }, done)
    }

    /// Answers one question after the other for as long as the connection lasts.
    pub(super) async fn run(
        &mut self,
        requests: &mut mpsc::UnboundedReceiver<Asked>,
        outbox: &Outbox,
    ) -> io::Result<()> {
        let mut asking: Option<(u64, Limit)> = None;
        loop {
            let request = tokio::select! {
                biased;
                request = requests.recv() => request,
                (question, next) = next(&mut self.deliveries, asking) => {
                    asking = None;
                    self.answer(question, next, outbox).await?;
                    continue;
                }
            };
            let Some((number, request, _charge)) = request else { return Ok(()) };
            match request {
                Request::Next(_) if asking.is_some() || self.deliveries.is_none() => return Err(misplaced()),
                Request::Next(max) => {
                    self.last = None;
                    asking = Some((number, max));
                }
                Request::Forget(question) => {
                    asking = asking.filter(|(asked, _)| *asked != question);
                    if self.last.as_ref().is_some_and(|last| last.question == question) {
                        self.give_back().await;
                    }
                }
                Request::Taken(_) => self.note(&request),
                Request::StopFetching => {
                    asking = None;
                    self.deliveries = None;
                }
                Request::GiveUp(handover) => drop(self.handovers.remove(&handover)),
                _ => return Err(misplaced()),
            }
            self.progress.send_modify(|done| *done += 1);
        }
    }

    /// Gives back what was fetched and not handed over. A client that was killed may have said `Taken` before: that is
    /// among what was passed on and not looked at yet, or still to be read.
    pub(super) async fn end(mut self, mut requests: mpsc::UnboundedReceiver<Asked>, incoming: &mut Incoming) {
        while let Ok((_, request, _)) = requests.try_recv() {
            self.note(&request);
        }
        let read = async {
            while self.last.as_ref().is_some_and(|last| !last.taken) {
                match incoming.next().await {
                    Ok(Some((_, request, _))) => self.note(&request),
                    Ok(None) | Err(_) => return,
                }
            }
        };
        let _ = time::timeout(GIVING_BACK, read).await;
        if self.last.as_ref().is_some_and(|last| !last.taken) {
            let _ = time::timeout(GIVING_BACK, self.give_back()).await;
        }
    }

    fn note(&mut self, request: &Request) {
        let (question, taken) = match request {
            Request::Taken(question) => (question, true),
            Request::Forget(question) => (question, false),
            _ => return,
        };
        if let Some(last) = self.last.as_mut().filter(|last| last.question == *question) {
            last.taken = taken;
        }
    }

    async fn answer(&mut self, question: u64, next: Result<Next, BrokerError>, outbox: &Outbox) -> io::Result<()> {
        let told = match next {
            Ok(Next::Batch(batch)) => return self.hand_over(question, batch, outbox).await,
            Ok(Next::Assigned(slices)) => Ok(Told::Assigned(slices)),
            Ok(Next::Lost(slices)) => Ok(Told::Lost(slices)),
            Ok(Next::Closed) => Ok(Told::Closed),
            Ok(Next::Revoking(handover)) => {
                self.counted += 1;
                let (slices, deadline) = (handover.slices().to_vec(), handover.deadline());
                self.handovers.insert(self.counted, handover);
                Ok(Told::Revoking { handover: self.counted, slices, deadline })
            }
            Ok(_) => Err(BrokerError::Failed("the socket cannot say what happens at this member".into())),
            Err(error) => Err(error),
        };
        reply(outbox, question, Reply::Next(told)).await
    }

    /// Answers with as much of a batch as a frame takes, and gives the rest back.
    async fn hand_over(&mut self, question: u64, mut batch: Vec<Delivery>, outbox: &Outbox) -> io::Result<()> {
        let tags = |batch: &[Delivery]| batch.iter().map(|delivery| delivery.tag).collect();
        loop {
            self.last = Some(Answered { question, tags: tags(&batch), taken: false });
            let half = batch.len().div_ceil(2);
            let answer = Reply::Next(Ok(Told::Batch(batch)));
            let length = match protocol::frame(question, &answer) {
                Ok(frame) => {
                    outbox.room().await.map_err(|_| io::ErrorKind::BrokenPipe)?;
                    outbox.push(frame).map_err(|_| io::ErrorKind::BrokenPipe)?;
                    return Ok(());
                }
                Err(length) => length,
            };
            let Reply::Next(Ok(Told::Batch(whole))) = answer else { unreachable!("it was made above") };
            batch = whole;
            if batch.len() == 1 {
                self.give_back().await;
                let told = format!("a message takes {length} bytes, more than the socket does");
                return reply(outbox, question, Reply::Next(Err(BrokerError::Failed(told.into())))).await;
            }
            let rest = batch.split_off(half);
            release(&*self.settler, tags(&rest)).await;
        }
    }

    async fn give_back(&mut self) {
        if let Some(last) = &self.last {
            release(&*self.settler, last.tags.clone()).await;
        }
        self.last = None;
    }
}

/// What comes next, when it was asked for.
async fn next(
    deliveries: &mut Option<Box<dyn Deliveries>>,
    asking: Option<(u64, Limit)>,
) -> (u64, Result<Next, BrokerError>) {
    match (deliveries, asking) {
        (Some(deliveries), Some((question, max))) => {
            let bytes = max.bytes.min(MAX_BATCH.bytes);
            let max = Limit { messages: max.messages.min(MAX_BATCH.messages), bytes };
            (question, deliveries.next(max).await)
        }
        _ => pending().await,
    }
}

/// What cannot be given back now comes back when its lease ends.
async fn release(settler: &dyn Settler, tags: Vec<DeliveryTag>) {
    settler.settle(tags.into_iter().map(|tag| (tag, Outcome::Release)).collect()).await;
}
