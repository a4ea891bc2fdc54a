//! Everything at once: what many members do in any order, with crashes between, breaks no promise.

use std::collections::{BTreeMap, BTreeSet};

use mainspring_broker::{Delivery, Limit, Next, Order, Outcome, SubscriptionSpec};

use crate::{
    Seed,
    broker::{
        Backend, Time,
        consumer::Consumer,
        sample::{BILLING, billing, group, order, text, with_dead_letters},
        subject::Subject,
    },
};

/// How many messages one member may hold.
const PREFETCH: usize = 4;

/// Messages of a history, sent a few at a time.
const MESSAGES: usize = 80;

/// How often all leases run out in one history: where time is real, somebody waits for it.
const MAX_LAPSES: u32 = 4;

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A history under way, and what must be true of it.
struct History {
    subject: Subject,
    random: Seed,
    members: Vec<(Consumer, Vec<Delivery>)>,
    sent: Vec<String>,
    /// How often each message was handed over, and not given back as untried.
    attempts: BTreeMap<String, u32>,
    /// What was acknowledged or became a dead letter, in that order.
    settled: Vec<String>,
    /// How often all leases have run out.
    lapses: u32,
}

impl History {
    async fn begin(backend: &dyn Backend, seed: u64) -> Self {
        let topology = with_dead_letters(billing().order(Order::KeyBlocks));
        let subject = Subject::with(backend, &topology).await;
        let random = Seed::new(seed);
        let (members, sent, settled) = (Vec::new(), Vec::new(), Vec::new());
        let attempts = BTreeMap::new();
        let mut history = Self { subject, random, members, sent, attempts, settled, lapses: 0 };
        for _ in 0..3 {
            history.join().await;
        }
        history
    }

    async fn join(&mut self) {
        let spec = SubscriptionSpec::new(group(BILLING)).prefetch(PREFETCH, usize::MAX);
        self.members.push((self.subject.joins(spec).await, Vec::new()));
    }

    async fn step(&mut self) {
        let member = self.random.index(self.members.len());
        match self.random.within(0..=19) {
            0..=3 if self.sent.len() < MESSAGES => self.send().await,
            0..=9 => self.take(member).await,
            10..=17 => self.settle(member).await,
            18 => {
                let (consumer, _) = self.members.remove(member);
                self.subject.crash(consumer).await;
                self.join().await;
            }
            _ if self.lapses < MAX_LAPSES => {
                self.lapses += 1;
                self.quiet().await;
                self.subject.pass(5).await;
                for (consumer, held) in &mut self.members {
                    for delivery in held.drain(..) {
                        consumer.assert_stale(&delivery).await;
                    }
                }
            }
            _ => self.take(member).await,
        }
    }

    /// Has every member answered once, so that nothing is on its way any more to one that has stopped waiting for it: a
    /// clock that is set passes minutes at once, and then a lease would end that nobody knows of.
    async fn quiet(&mut self) {
        for (consumer, _) in &mut self.members {
            let settler = consumer.settler.clone();
            let asked = settler.pause(&[], false);
            self.subject.within(asked, "an answer about no slice").await.expect("nothing stands against no slice");
        }
    }

    async fn send(&mut self) {
        let count = self.random.within(1..=5);
        let batch = (0..count).map(|_| {
            let key = self.random.pick(&KEYS);
            let body = format!("{key}:{}", self.sent.len());
            self.sent.push(body.clone());
            order(&body).key(key)
        });
        let batch: Vec<_> = batch.collect();
        self.subject.stored(batch).await;
    }

    async fn take(&mut self, member: usize) {
        let (consumer, held) = &mut self.members[member];
        let Some(Next::Batch(batch)) = consumer.if_ready(Limit::messages(3)).await else { return };
        held.extend(batch.iter().cloned());
        assert!(held.len() <= PREFETCH, "a member holds {} messages of {PREFETCH}", held.len());
        for delivery in batch {
            let body = text(&delivery.message.body);
            let attempts = self.attempts.entry(body.clone()).or_default();
            *attempts += 1;
            assert_eq!(delivery.attempt, *attempts, "attempts of {body}");
        }
        let all = self.members.iter().flat_map(|(_, held)| held);
        let keys: Vec<_> = all.filter_map(|delivery| delivery.message.key.clone()).collect();
        let distinct: BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "two messages of a key are in flight: {keys:?}");
    }

    async fn settle(&mut self, member: usize) {
        let (consumer, held) = &mut self.members[member];
        if held.is_empty() {
            return;
        }
        let delivery = held.remove(self.random.index(held.len()));
        let body = text(&delivery.message.body);
        match self.random.within(0..=9) {
            0 => consumer.retry(&delivery).await,
            1 => {
                consumer.settle(&delivery, Outcome::Release).await;
                self.attempts.entry(body).and_modify(|attempts| *attempts -= 1);
            }
            2 => {
                consumer.bury(&delivery, "by lot").await;
                self.settled.push(body);
            }
            _ => {
                consumer.ack(&delivery).await;
                self.settled.push(body);
            }
        }
        consumer.assert_stale(&delivery).await;
    }

    /// Settles what is left, and sees that each message was settled once and in the order of its key.
    async fn end(mut self) {
        for (consumer, _) in std::mem::take(&mut self.members) {
            self.subject.crash(consumer).await;
        }
        self.subject.pass(5).await;
        let mut last = self.subject.member().await;
        let left = self.sent.len() - self.settled.len();
        self.settled.extend(last.handle(left).await);
        last.gets_nothing().await;
        for key in KEYS {
            let of_key = |bodies: &[String]| -> Vec<String> {
                bodies.iter().filter(|body| body.starts_with(key)).cloned().collect()
            };
            assert_eq!(of_key(&self.settled), of_key(&self.sent), "key {key}");
        }
        let lag = self.subject.lag(&group(BILLING)).await;
        assert!(lag.is_none_or(|lag| lag == 0), "nothing is left");
    }
}

/// Random histories lose nothing, double nothing, keep keys in order, and count attempts and what is in flight.
pub(crate) async fn random_histories_break_no_promise(backend: &dyn Backend) {
    let histories = if backend.time() == Time::Set { 5 } else { 2 };
    for seed in 1..=histories {
        let mut history = History::begin(backend, seed).await;
        for _ in 0..300 {
            history.step().await;
        }
        history.end().await;
    }
}
