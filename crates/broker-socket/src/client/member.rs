//! A member on its own connection: what comes to it, and what it answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    BrokerError, CommitError, Deliveries, DeliveryTag, Limit, Message, Next, Outcome, Receipt, SendError, SettleError,
    Settler, Slice, Start,
};

use super::{
    ask, confused,
    link::{Link, Lost, NotCalled},
};
use crate::protocol::{MAX_BATCH, MAX_FRAME, Reply, Request};

/// What both halves share; with the last of them the connection ends, and the member with it.
#[derive(Debug)]
pub(super) struct Member {
    link: Arc<Link>,
}

pub(super) struct SocketDeliveries(Arc<Member>);

pub(super) struct SocketSettler(Arc<Member>);

pub(super) fn split(member: Arc<Member>) -> (SocketDeliveries, SocketSettler) {
    (SocketDeliveries(member.clone()), SocketSettler(member))
}

impl Member {
    pub(super) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    pub(super) async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.done(Request::Close(deadline.saturating_duration_since(Instant::now()))).await
    }

    async fn done(&self, request: Request) -> Result<(), BrokerError> {
        match ask(&self.link, request).await? {
            Reply::Done(answer) => answer,
            _ => Err(confused()),
        }
    }

    /// Asks what is answered for each of `count` deliveries.
    async fn settled(&self, request: Request, count: usize) -> Vec<Result<(), SettleError>> {
        let answers = |error: fn() -> SettleError| (0..count).map(|_| Err(error())).collect();
        let lost = || SettleError::Unknown("the connection was lost".into());
        let called = self.link.call(&request).await;
        let mut call = match called {
            Ok(call) => call,
            // It surely did not count, but whoever tries again is told the same: the connection stays lost.
            Err(NotCalled::Ended) => return answers(lost),
            Err(NotCalled::TooLong(actual)) => {
                let error = || SettleError::TooLarge { what: "a settlement, in bytes,", actual, limit: MAX_FRAME };
                return (0..count).map(|_| Err(error())).collect();
            }
        };
        match call.reply().await {
            Ok(Reply::Settled(answers)) if answers.len() == count => answers,
            _ => answers(lost),
        }
    }
}

/// A question that somebody waits for. Dropping it says that nobody does any more.
struct Question<'a> {
    link: &'a Link,
    number: u64,
    is_taken: bool,
}

impl<'a> Question<'a> {
    /// Asks. The number of the frame is that of the question, so nothing can come before it is known.
    fn ask(link: &'a Link, max: Limit) -> Result<Self, BrokerError> {
        let mut inbox = link.inbox();
        let (number, _) = link.tell(&Request::Next(max)).ok_or(BrokerError::Closed)?;
        inbox.question = Some(number);
        Ok(Self { link, number, is_taken: false })
    }

    /// Its answer, or what was kept before. Of messages the server has been told that they are handed over.
    async fn answer(mut self) -> Result<Next, BrokerError> {
        loop {
            {
                let mut inbox = self.link.inbox();
                if let Some(kept) = inbox.kept.pop_front() {
                    return Ok(kept);
                }
                match inbox.answer.take() {
                    Some(Ok(Next::Batch(batch))) => {
                        inbox.answer = Some(Ok(Next::Batch(batch)));
                        break;
                    }
                    Some(answer) => {
                        self.is_taken = true;
                        inbox.question = None;
                        return answer;
                    }
                    None if inbox.ended => return Err(BrokerError::Closed),
                    None => {}
                }
            }
            self.link.arrival().await;
        }
        // A process that is killed from here on has tried it, so that has to be out of its hands before it begins.
        let (_, end) = self.link.tell(&Request::Taken(self.number)).ok_or(BrokerError::Closed)?;
        self.link.flushed(end).await?;
        let mut inbox = self.link.inbox();
        inbox.question = None;
        self.is_taken = true;
        inbox.answer.take().unwrap_or(Err(BrokerError::Closed))
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.is_taken {
            return;
        }
        let forgotten = {
            let mut inbox = self.link.inbox();
            inbox.question = None;
            let answer = inbox.answer.take();
            answer.and_then(|answer| inbox.keep(answer))
        };
        drop(forgotten);
        self.link.tell(&Request::Forget(self.number));
    }
}

#[async_trait]
impl Deliveries for SocketDeliveries {
    async fn next(&mut self, max: Limit) -> Result<Next, BrokerError> {
        let link = &*self.0.link;
        if let Some(kept) = link.inbox().kept.pop_front() {
            return Ok(kept);
        }
        link.room().await?;
        Question::ask(link, max)?.answer().await
    }
}

impl Drop for SocketDeliveries {
    fn drop(&mut self) {
        let link = &self.0.link;
        link.tell(&Request::StopFetching);
        let kept = std::mem::take(&mut link.inbox().kept);
        drop(kept);
    }
}

#[async_trait]
impl Settler for SocketSettler {
    async fn settle(&self, outcomes: Vec<(DeliveryTag, Outcome)>) -> Vec<Result<(), SettleError>> {
        let mut answers = Vec::with_capacity(outcomes.len());
        for part in outcomes.chunks(MAX_BATCH.messages) {
            answers.extend(self.0.settled(Request::Settle(part.to_vec()), part.len()).await);
        }
        answers
    }

    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Vec<Result<(), SettleError>> {
        let mut answers = Vec::with_capacity(tags.len());
        for part in tags.chunks(MAX_BATCH.messages) {
            answers.extend(self.0.settled(Request::Extend(part.to_vec(), by), part.len()).await);
        }
        answers
    }

    async fn commit(
        &self,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError> {
        let unknown = |what: &'static str| Err(CommitError::Unknown(what.into()));
        match self.0.link.call(&Request::Commit(outcomes, out)).await {
            Ok(mut call) => match call.reply().await {
                Ok(Reply::Committed(answer)) => answer,
                Err(Lost::NotSent) => unknown("the connection was lost before it was sent"),
                _ => unknown("the connection was lost"),
            },
            Err(NotCalled::Ended) => unknown("the connection is lost, so it was not sent"),
            Err(NotCalled::TooLong(actual)) => {
                let source = SendError::TooLarge { what: "the commit, in bytes,", actual, limit: MAX_FRAME };
                Err(CommitError::Send { at: 0, source })
            }
        }
    }

    async fn seek(&self, to: Start) -> Result<(), BrokerError> {
        self.0.done(Request::Seek(to)).await
    }

    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError> {
        self.0.done(Request::Pause(slices.to_vec(), paused)).await
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.0.close(deadline).await
    }
}
