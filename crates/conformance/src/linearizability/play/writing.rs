//! One writer: appends under all kinds of conditions, repeats its own and others' appends, gives some up.

use std::{pin::pin, sync::Arc};

use futures_util::future::{Either, select};
use mainspring_event::{NewEvent, Version};
use mainspring_store::{Append, Check, Expected, Read, ReadFrom};
use tokio::task::yield_now;

use super::{Answer, Client, Known, Seed, lock, some_query, some_read};
use crate::sample::{event, stream, tag, typed, with_tags};

const STREAMS: [&str; 8] = ["a-1", "a-2", "a-3", "b-1", "b-2", "c-1", "$lease-1", "$lease-2"];

/// So many appends are kept to be repeated.
const KEPT: usize = 24;

/// A writer gives up a store that has failed so often in a row.
const FAILURES: u32 = 3;

pub(super) struct Writer {
    pub(super) client: Client,
    pub(super) known: Arc<Known>,
    pub(super) seed: Seed,
}

impl Writer {
    pub(super) async fn run(mut self, calls: u64) {
        let mut failures = 0;
        loop {
            let Some(open) = ({ self.known.open().pop() }) else { break };
            if matches!(self.send(open).await, Answer::Failed | Answer::Unknown) {
                failures += 1;
            }
            if failures == FAILURES {
                return;
            }
        }
        for _ in 0..calls {
            match self.call().await {
                Some(Answer::Failed | Answer::Unknown) => failures += 1,
                Some(_) => failures = 0,
                None => {}
            }
            if failures == FAILURES {
                return;
            }
            for _ in 0..self.seed.within(0..=2) {
                yield_now().await;
            }
        }
    }

    /// One call, and its answer if it was an append that was answered.
    async fn call(&mut self) -> Option<Answer> {
        match self.seed.within(0..=19) {
            0 | 1 => {
                let append = self.repeat()?;
                Some(self.send(append).await)
            }
            2 => self.give_up().await,
            3 => {
                self.client.head().await;
                None
            }
            4 | 5 => {
                let mut reading = self.client.read(some_read(&self.known, &mut self.seed));
                while reading.next().await.is_some() {}
                None
            }
            6 | 7 => Some(self.decide().await),
            8 => Some(self.ask().await),
            _ => {
                let append = self.append();
                Some(self.send(append).await)
            }
        }
    }

    /// Appends, and remembers what came of it.
    async fn send(&mut self, append: Append) -> Answer {
        self.keep(&append);
        let answer = self.client.append(append.clone()).await;
        self.known.learn(&append, &answer);
        if answer == Answer::Unknown {
            self.known.open().push(append);
        }
        answer
    }

    fn keep(&mut self, append: &Append) {
        if append.events.is_empty() {
            return;
        }
        let mut sent = lock(&self.known.sent);
        if sent.len() < KEPT {
            sent.push(append.clone());
        } else {
            let at = self.seed.within(0..=KEPT as u64 - 1) as usize;
            sent[at] = append.clone();
        }
    }

    /// Begins to append and goes away before the answer; somebody repeats it.
    async fn give_up(&mut self) -> Option<Answer> {
        let append = self.append();
        self.keep(&append);
        let patience = self.seed.within(1..=3);
        let impatience = async {
            for _ in 0..patience {
                yield_now().await;
            }
        };
        let answer = match select(pin!(self.client.append(append.clone())), pin!(impatience)).await {
            Either::Left((answer, _)) => Some(answer),
            Either::Right(_) => None,
        };
        match &answer {
            Some(answer) => self.known.learn(&append, answer),
            None => self.known.open().push(append),
        }
        if self.seed.once_in(2) {
            let open = self.known.open().pop();
            if let Some(open) = open {
                return Some(self.send(open).await);
            }
        }
        answer
    }

    /// Reads what matters, and appends if nothing was added since.
    async fn decide(&mut self) -> Answer {
        let name = self.seed.pick(&["k:0", "k:1", "k:2"]);
        let query = with_tags(&[name]);
        let near = self.known.head().0.saturating_sub(20);
        let read = Read::new(query.clone()).from(ReadFrom::After(mainspring_event::Position(near)));
        let mut reading = self.client.read(read);
        let mut through = None;
        while let Some(next) = reading.next().await {
            through = Some(next);
        }
        for _ in 0..self.seed.within(0..=2) {
            yield_now().await;
        }
        let event = NewEvent { tags: vec![tag(name)], ..event(self.seed.pick(&STREAMS[..6])) };
        self.send(Append::new([event]).check(Check::NoMatch { query, after: through })).await
    }

    /// Asks for conditions without writing.
    async fn ask(&mut self) -> Answer {
        let mut append = Append::default();
        for _ in 0..self.seed.within(0..=2) {
            let check = self.check();
            append.checks.push(check);
        }
        self.send(append).await
    }

    fn append(&mut self) -> Append {
        let count = if self.seed.once_in(3) { self.seed.within(2..=5) } else { 1 };
        let mut append = Append::new((0..count).map(|_| self.event()).collect::<Vec<_>>());
        for _ in 0..self.seed.pick(&[0, 0, 1, 1, 2]) {
            let check = self.check();
            append.checks.push(check);
        }
        append
    }

    fn event(&mut self) -> NewEvent {
        let event = typed(self.seed.pick(&STREAMS), self.seed.pick(&["Opened", "Moved"]));
        let tags = match self.seed.within(0..=7) {
            number @ 0..=2 if !event.stream.is_internal() => vec![tag(["k:0", "k:1", "k:2"][number as usize])],
            _ => Vec::new(),
        };
        NewEvent { tags, ..event }
    }

    /// A check that has a fair chance to hold, of any stream, written or not.
    fn check(&mut self) -> Check {
        if self.seed.once_in(4) {
            let head = self.known.head().0;
            let after = mainspring_event::Position(head.saturating_sub(self.seed.within(0..=3)));
            return Check::NoMatch { query: some_query(&mut self.seed), after: Some(after) };
        }
        let stream = stream(if self.seed.once_in(12) { "never-1" } else { self.seed.pick(&STREAMS) });
        let expected = match self.seed.within(0..=9) {
            0 => Expected::Any,
            1 => Expected::NoStream,
            2 => Expected::Exists,
            3 => Expected::Exactly(Version(self.known.version(&stream).0.saturating_sub(1))),
            _ => Expected::Exactly(self.known.version(&stream)),
        };
        Check::Stream { stream, expected }
    }

    /// Something that was sent before, as it was or a little different.
    fn repeat(&mut self) -> Option<Append> {
        let mut append = {
            let sent = lock(&self.known.sent);
            let last = (sent.len() as u64).checked_sub(1)?;
            sent[self.seed.within(0..=last) as usize].clone()
        };
        match self.seed.within(0..=9) {
            0 => append.events[0].payload = "other".into(),
            1 => append.events.push(self.event()),
            2 => append.events.insert(0, self.event()),
            3 => append.events.reverse(),
            4 => append.checks.clear(),
            5 => append.checks = vec![self.check()],
            _ => {}
        }
        Some(append)
    }
}
