//! Setting subscriptions up: what is missing is created, what is not possible is refused by name, and nothing is handled
//! before everything is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use mainspring_broker::{
    Binding, Broker, BrokerError, Capabilities, Destination, Ensure, Feature, Group, Limit, Order, Start,
    Subscription as Spec, SubscriptionSpec, Support, Topic, Topology,
};
use tokio::sync::watch;

use crate::{
    Controls, Publisher, Runner, StartError, Subscription, Subscriptions, Takes,
    context::Surroundings,
    metrics::Meter,
    runner::{Control, Setting},
    subscriptions::Entry,
    worker::{Parts, Policy, Worker},
};

impl<S> Subscriptions<S> {
    /// Creates or checks topics and groups, refuses what the broker cannot do, and takes part in the groups. Run what it
    /// returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing was handled.
    pub async fn prepare(self, broker: Arc<dyn Broker>) -> Result<(Controls, Runner), StartError> {
        self.prepare_with(Publisher::new(broker)).await
    }

    /// The same, and handlers get this publisher.
    ///
    /// # Errors
    /// [`StartError`]; nothing was handled.
    pub async fn prepare_with(self, publisher: Publisher) -> Result<(Controls, Runner), StartError> {
        let broker = publisher.broker().clone();
        for entry in &self.entries {
            let gathers = if entry.subscription.batch.is_some() { Takes::Batch } else { Takes::One };
            if entry.takes != Takes::Either && entry.takes != gathers {
                return Err(StartError::Batch(entry.subscription.group.clone()));
            }
        }
        let topology = topology(&*broker, &self.entries, &self.topics, self.ensure).await?;
        let drifts = broker.ensure(&topology, self.ensure).await.map_err(|source| not_set_up(&self.entries, source))?;
        if !drifts.is_empty() {
            return Err(StartError::Drift(drifts));
        }
        let (mut workers, mut controls) = (Vec::new(), BTreeMap::new());
        for entry in self.entries {
            let (group, control, worker) = subscribe(&publisher, entry).await?;
            controls.insert(group, control);
            workers.push(worker);
        }
        let controls = Controls::new(controls);
        Ok((controls.clone(), Runner { workers, grace: self.grace, controls }))
    }
}

/// Takes part in the group of one subscription.
async fn subscribe(publisher: &Publisher, entry: Entry) -> Result<(Group, Control, Worker), StartError> {
    let broker = publisher.broker();
    let Entry { subscription, route, accepts, in_store, .. } = entry;
    let group: Group = subscription.group.parse()?;
    let failed = |source| StartError::Broker { groups: vec![subscription.group.clone()], source };
    let mut longest = Duration::MAX;
    for (topic, _) in &subscription.bindings {
        let topic: Destination = topic.parse()?;
        let capabilities = broker.capabilities(&topic).await.map_err(failed)?;
        suits(&subscription, &topic, &capabilities)?;
        let keeps = capabilities.support(Feature::RetryAfter) != Support::Refused;
        longest = longest.min(if keeps { capabilities.limits.delay } else { Duration::ZERO });
    }
    let prefetch = Limit { messages: subscription.held(), bytes: subscription.prefetch_bytes };
    let spec = SubscriptionSpec { prefetch, lease: subscription.lease, ..SubscriptionSpec::new(group.clone()) };
    let (deliveries, settler) = broker.subscribe(spec).await.map_err(failed)?;
    if in_store && settler.in_store().is_none() {
        return Err(StartError::NotInStore(subscription.group));
    }
    let surroundings = Arc::new(Surroundings {
        group: group.clone(),
        in_batches: subscription.batch.is_some(),
        settler: Some(settler.clone()),
        publisher: Some(publisher.clone()),
    });
    let meter = Meter::new(group.clone());
    let (setting, settings) = watch::channel(Setting { concurrency: subscription.concurrency, paused: false });
    let policy = Policy { retry: subscription.retry.clone(), unknown: subscription.unknown, accepts, longest };
    let control = Control { meter: meter.clone(), setting };
    let parts = Parts { deliveries, settler, route, policy, surroundings, meter, setting: settings };
    Ok((group, control, Worker::new(parts, &subscription)))
}

/// Refuses what the broker cannot do and nobody emulates.
fn suits(subscription: &Subscription, at: &Destination, capabilities: &Capabilities) -> Result<(), StartError> {
    let longest = subscription.retry.longest();
    if !longest.is_zero() && capabilities.support(Feature::RetryAfter) == Support::Refused {
        return Err(StartError::Refused {
            group: subscription.group.clone(),
            feature: Feature::RetryAfter,
            at: at.to_string(),
            advice: "choose `Retry::times` or `Retry::never`, or another broker",
        });
    }
    let limits = &capabilities.limits;
    for (what, actual, limit) in
        [("the lease", subscription.lease, limits.lease), ("the longest wait of its schedule", longest, limits.delay)]
    {
        if actual > limit {
            return Err(StartError::TooLong { group: subscription.group.clone(), what, actual, limit });
        }
    }
    Ok(())
}

fn not_set_up(entries: &[Entry], source: BrokerError) -> StartError {
    StartError::Broker { groups: entries.iter().map(|entry| entry.subscription.group.clone()).collect(), source }
}

/// What has to be there. Topics that the program does not describe are taken as they are.
async fn topology(
    broker: &dyn Broker,
    entries: &[Entry],
    described: &[Topic],
    ensure: Ensure,
) -> Result<Topology, StartError> {
    let mut topology = described.iter().cloned().fold(Topology::new(), Topology::topic);
    let mut known: BTreeSet<Destination> = described.iter().map(|topic| topic.name.clone()).collect();
    let mut keepers = BTreeSet::new();
    for Entry { subscription, .. } in entries {
        let dead: Destination = subscription.dead_letters().parse()?;
        let mut bindings = Vec::new();
        for (topic, filter) in &subscription.bindings {
            bindings.push(Binding { from: topic.parse()?, filter: filter.clone() });
        }
        for topic in bindings.iter().map(|binding| &binding.from).chain([&dead]) {
            if known.insert(topic.clone()) && (ensure == Ensure::Verify || !exists(broker, topic, entries).await?) {
                topology = topology.topic(Topic::new(topic.clone()));
            }
        }
        topology = topology.subscription(Spec {
            group: subscription.group.parse()?,
            bindings,
            start: subscription.start.clone(),
            sharing: subscription.sharing,
            order: subscription.order,
            dead_letter: Some(dead.clone()),
            after_dead_letter: subscription.after_dead_letter,
        });
        // A queue without a group keeps nothing: somebody has to be there for whom dead letters are kept.
        if keepers.insert(dead.clone()) && !entries.iter().any(|entry| entry.subscription.group == dead.as_str()) {
            let keeper = Spec::new(dead.as_str().parse()?, [Binding::all(dead)]);
            topology = topology.subscription(keeper.start(Start::Earliest).order(Order::Unordered));
        }
    }
    Ok(topology)
}

async fn exists(broker: &dyn Broker, topic: &Destination, entries: &[Entry]) -> Result<bool, StartError> {
    match broker.capabilities(topic).await {
        Ok(_) => Ok(true),
        Err(BrokerError::NoTopic(_)) => Ok(false),
        Err(source) => Err(not_set_up(entries, source)),
    }
}
