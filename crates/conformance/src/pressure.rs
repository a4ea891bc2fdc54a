//! Writers that go on while a law looks at something else, so that what it sees is never a store at rest.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mainspring_event::Position;
use mainspring_store::{Append, Appended};
use tokio::task::{JoinHandle, yield_now};

use crate::{law::join, subject::Subject};

/// Whoever never stops its writers still gets to the end of the law.
const MOST: u64 = 400;

/// Tasks that append until they are stopped.
pub(crate) struct Pressure {
    enough: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<(Append, Appended)>>>,
}

impl Pressure {
    /// Starts so many writers, each of which appends what `next` makes of its number and of a count from 0. Each writes
    /// at least `least` times.
    pub(crate) fn start(
        subject: &Subject,
        writers: u64,
        least: u64,
        next: impl Fn(u64, u64) -> Append + Clone + Send + 'static,
    ) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let tasks = (0..writers).map(|writer| {
            let (store, enough, next) = (subject.store.clone(), enough.clone(), next.clone());
            tokio::spawn(async move {
                let mut done = Vec::new();
                for count in 0..MOST {
                    if count >= least && enough.load(Ordering::Relaxed) {
                        break;
                    }
                    let append = next(writer, count);
                    let appended = store.append(append.clone()).await.expect("nothing stands against this append");
                    done.push((append, appended));
                    yield_now().await;
                }
                done
            })
        });
        let tasks = tasks.collect();
        Self { enough, tasks }
    }

    /// Whether the writers have ended without being stopped.
    pub(crate) fn is_through(&self) -> bool {
        self.tasks.iter().all(JoinHandle::is_finished)
    }

    /// Waits until something was appended above `last`, or the writers are through, and says where the head is.
    pub(crate) async fn moved(&self, subject: &Subject, last: Position) -> Position {
        let moved = async {
            loop {
                let head = subject.head().await;
                if head > last || self.is_through() {
                    return head;
                }
                yield_now().await;
            }
        };
        subject.within(moved, "the next append").await
    }

    /// Lets the writers end and says, for each, what it appended and what was answered.
    pub(crate) async fn stop(self) -> Vec<Vec<(Append, Appended)>> {
        self.enough.store(true, Ordering::Relaxed);
        join(self.tasks).await
    }
}
