//! What was published and consumed and what that took, for reports and metrics. Noted once for many messages, because
//! measuring must not cost what it measures.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mainspring_broker::Group;
use mainspring_event::EventTypeName;

/// What the messages of a subscription came to since it was prepared, in this process.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Which group.
    pub group: Group,
    /// By event type; messages without an envelope are under the empty name.
    pub events: BTreeMap<String, Consumed>,
    /// Settlements that came too late: the message belonged to somebody else.
    pub stale: u64,
    /// Settlements that were repeated, because the broker had not taken them or could not say.
    pub repeated: u64,
    /// How often asking for messages was paused because of failures.
    pub pauses: u64,
}

/// What the messages of one event type came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Consumed {
    /// Attempts that succeeded.
    pub succeeded: u64,
    /// Attempts that failed and are tried again.
    pub failed: u64,
    /// Messages that were given up.
    pub dead_letters: u64,
    /// From the beginning of an attempt to the end of its handler.
    pub seconds: Histogram,
}

/// How long something took, as Prometheus counts it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

/// The upper bounds of the ranges, in seconds.
const BOUNDS: [f64; 12] = [0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0];

/// One value under the name and the labels by which a metrics system knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name.
    pub name: &'static str,
    /// Names and values of labels.
    pub labels: Vec<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Histogram {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long all of them took together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many took no longer than each bound, in seconds.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut so_far = 0;
        BOUNDS.iter().zip(self.counts).map(move |(bound, count)| {
            so_far += count;
            (*bound, so_far)
        })
    }

    fn add(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(range) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.counts[range] += 1;
        }
        self.count += 1;
        self.sum += took;
    }
}

impl Metrics {
    /// Everything under its name: `events_consumed_total`, `event_processing_seconds` and so on.
    #[expect(clippy::cast_precision_loss, reason = "metrics systems count in floating point")]
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        let group = ("group", self.group.to_string());
        let mut add = |name, labels: &[(&'static str, String)], value: f64| {
            let labels = [std::slice::from_ref(&group), labels].concat();
            samples.push(Sample { name, labels, value });
        };
        for (event_type, consumed) in &self.events {
            let event_type = ("event_type", event_type.clone());
            let outcomes =
                [("success", consumed.succeeded), ("failure", consumed.failed), ("dead_letter", consumed.dead_letters)];
            for (outcome, count) in outcomes {
                let labels = [event_type.clone(), ("outcome", outcome.to_owned())];
                add("events_consumed_total", &labels, count as f64);
            }
            for (bound, count) in consumed.seconds.buckets() {
                let labels = [event_type.clone(), ("le", bound.to_string())];
                add("event_processing_seconds_bucket", &labels, count as f64);
            }
            let (count, sum) = (consumed.seconds.count, consumed.seconds.sum);
            let all = [event_type.clone(), ("le", "+Inf".to_owned())];
            add("event_processing_seconds_bucket", &all, count as f64);
            let labels = [event_type];
            add("event_processing_seconds_count", &labels, count as f64);
            add("event_processing_seconds_sum", &labels, sum.as_secs_f64());
        }
        add("settlements_stale_total", &[], self.stale as f64);
        add("settlements_repeated_total", &[], self.repeated as f64);
        add("subscription_pauses_total", &[], self.pauses as f64);
        samples
    }

    /// All event types together.
    pub fn total(&self) -> Consumed {
        let mut total = Consumed::default();
        for consumed in self.events.values() {
            total.succeeded += consumed.succeeded;
            total.failed += consumed.failed;
            total.dead_letters += consumed.dead_letters;
            for (sum, count) in total.seconds.counts.iter_mut().zip(consumed.seconds.counts) {
                *sum += count;
            }
            total.seconds.count += consumed.seconds.count;
            total.seconds.sum += consumed.seconds.sum;
        }
        total
    }
}

/// What one message came to.
pub(crate) struct Noted {
    pub(crate) event_type: Option<EventTypeName>,
    pub(crate) end: End,
    /// Nothing when the handler was not called.
    pub(crate) took: Option<Duration>,
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Success,
    Failure,
    DeadLetter,
    /// Given back without having been tried.
    Release,
}

/// Where a subscription notes what it does and others read it.
#[derive(Clone)]
pub(crate) struct Meter(Arc<Mutex<Metrics>>);

impl Meter {
    pub(crate) fn new(group: Group) -> Self {
        Self(Arc::new(Mutex::new(Metrics { group, events: BTreeMap::new(), stale: 0, repeated: 0, pauses: 0 })))
    }

    pub(crate) fn read(&self) -> Metrics {
        lock(&self.0).clone()
    }

    pub(crate) fn note(&self, noted: impl Iterator<Item = Noted>) {
        let mut metrics = lock(&self.0);
        for Noted { event_type, end, took } in noted {
            let name = event_type.as_ref().map_or("", EventTypeName::as_str);
            if !metrics.events.contains_key(name) {
                metrics.events.insert(name.to_owned(), Consumed::default());
            }
            let Some(consumed) = metrics.events.get_mut(name) else { continue };
            match end {
                End::Success => consumed.succeeded += 1,
                End::Failure => consumed.failed += 1,
                End::DeadLetter => consumed.dead_letters += 1,
                End::Release => {}
            }
            if let Some(took) = took {
                consumed.seconds.add(took);
            }
        }
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Metrics)) {
        change(&mut lock(&self.0));
    }
}

/// How many events were published, by type.
#[derive(Clone, Default)]
pub(crate) struct Published(Arc<Mutex<HashMap<&'static str, u64>>>);

impl Published {
    pub(crate) fn add(&self, event_type: &'static str) {
        *lock(&self.0).entry(event_type).or_default() += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics systems count in floating point")]
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let counts = lock(&self.0).clone().into_iter();
        let sample = |(event_type, count): (&'static str, u64)| Sample {
            name: "events_published_total",
            labels: vec![("event_type", event_type.to_owned())],
            value: count as f64,
        };
        counts.map(sample).collect()
    }
}

/// Additions are complete whenever the lock is free, so a panic elsewhere leaves nothing half-done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_the_names_that_dashboards_ask_for() {
        let meter = Meter::new("billing".parse().unwrap());
        let placed: EventTypeName = "OrderPlaced".parse().unwrap();
        let noted =
            |end, millis| Noted { event_type: Some(placed.clone()), end, took: Some(Duration::from_millis(millis)) };
        meter.note([noted(End::Success, 2), noted(End::Success, 700), noted(End::Failure, 3)].into_iter());
        let samples = meter.read().samples();
        let value = |name: &str, label: &str| {
            let labelled = |sample: &&Sample| sample.labels.iter().any(|(_, value)| value == label);
            samples.iter().filter(|sample| sample.name == name).find(labelled).map(|sample| sample.value)
        };
        assert_eq!(value("events_consumed_total", "success"), Some(2.0));
        assert_eq!(value("events_consumed_total", "failure"), Some(1.0));
        assert_eq!(value("event_processing_seconds_bucket", "0.005"), Some(2.0));
        assert_eq!(value("event_processing_seconds_bucket", "+Inf"), Some(3.0));
        assert_eq!(value("event_processing_seconds_count", "billing"), Some(3.0));
    }
}
