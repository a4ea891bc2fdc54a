//! A live reader under test, which sees to it that progress only moves forwards.

use std::time::Duration;

use futures_util::StreamExt;
use mainspring_event::{Position, StoredEvent};
use mainspring_store::{BatchStream, EventBatch};
use tokio::time;

use crate::subject::stored;

/// A read that goes on for ever.
pub(crate) struct Follower {
    stream: BatchStream,
    patience: Duration,
    through: Position,
}

impl Follower {
    pub(crate) fn new(stream: BatchStream, patience: Duration) -> Self {
        Self { stream, patience, through: Position::START }
    }

    /// How far it has come.
    pub(crate) fn through(&self) -> Position {
        self.through
    }

    /// The next batch, which must come.
    pub(crate) async fn next(&mut self) -> EventBatch {
        let next = time::timeout(self.patience, self.stream.next()).await;
        let next = next.unwrap_or_else(|_| {
            panic!("a follower that has come to {} waited {:?} in vain for its next batch", self.through, self.patience)
        });
        let batch = next.expect("a follower without limit never ends").expect("the read succeeds");
        let last = batch.iter().last().map_or(Position::START, |event| event.position);
        assert!(batch.through() >= self.through, "progress went back from {} to {}", self.through, batch.through());
        assert!(last <= batch.through(), "the event at {last} lies beyond the progress {}", batch.through());
        self.through = batch.through();
        batch
    }

    /// The events up to a position, which progress must reach.
    pub(crate) async fn until(&mut self, position: Position) -> Vec<StoredEvent> {
        let mut events = Vec::new();
        while self.through < position {
            events.extend(stored(&self.next().await));
        }
        events
    }

    /// The events up to the batch that says that the end is reached.
    pub(crate) async fn until_caught_up(&mut self) -> Vec<StoredEvent> {
        let mut events = Vec::new();
        loop {
            let batch = self.next().await;
            events.extend(stored(&batch));
            if batch.caught_up() {
                return events;
            }
        }
    }

    /// Polls once for the next batch and gives up: a reader whose `next` was cancelled.
    pub(crate) async fn glance(&mut self) -> Option<EventBatch> {
        let mut next = self.stream.next();
        let polled = std::future::poll_fn(|context| {
            let polled = std::pin::Pin::new(&mut next).poll(context);
            std::task::Poll::Ready(polled)
        });
        match polled.await {
            std::task::Poll::Ready(next) => {
                let batch = next.expect("a follower without limit never ends").expect("the read succeeds");
                self.through = batch.through();
                Some(batch)
            }
            std::task::Poll::Pending => None,
        }
    }
}
