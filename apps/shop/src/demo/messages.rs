//! Whether those who hear of orders have done what the events ask for: every message kept, every day added up, and for each
//! confirmed order a mail, or a dead letter that says why not.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use anyhow::{Result, ensure};
use jiff::civil::Date;
use mainspring::broker::{Admin, DeadLetter, Pending};
use serde::Serialize;
use tokio::time::{Instant, interval};

use super::{
    progress::{Progress, Stopwatch},
    shop::Shop,
    total,
};
use crate::{
    Cents, OrderId,
    messages::{ANALYTICS, AUDIT, NOTIFICATION, OrderConfirmed, OrderWithdrawn, Sales, ShopEvent, fed, sales, trail},
};

/// How often it is looked whether everything has been handled.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// When nothing at all is handled for so long, nothing will be.
const STUCK: Duration = Duration::from_secs(60);

/// So many differences are named, and so many dead letters shown; all differences are counted.
const NAMED: usize = 100;

/// What others heard of orders, and what they made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Messages {
    /// How many messages there have to be, by type, as a replay of the events of orders says.
    pub published: BTreeMap<String, u64>,
    /// How many the audit trail has.
    pub kept: u64,
    /// How many mails were sent.
    pub mails: u64,
    /// On how many days analytics has counted money or orders …
    pub days: u64,
    /// … how many orders …
    pub orders: u64,
    /// … and how much money.
    pub cents: Cents,
    /// What was given up, at most a hundred.
    pub dead_letters: Vec<GivenUp>,
    /// How many figures are not what the events say.
    pub differences_found: u64,
    /// The first hundred of them.
    pub differences: Vec<String>,
}

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GivenUp {
    /// Who gave it up.
    pub group: String,
    /// The group that keeps it.
    pub kept_by: String,
    /// Where it lies.
    pub place: String,
    /// Which order it is about; `None` where it cannot be read.
    pub order: Option<OrderId>,
    /// Why.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
}

/// What has to be heard, as a replay of the events has it.
#[derive(Default)]
pub(super) struct Heard {
    by_type: BTreeMap<String, u64>,
    /// Confirmations of each order.
    confirmed: HashMap<OrderId, u64>,
    days: BTreeMap<Date, Sales>,
}

impl Heard {
    pub(super) fn add(&mut self, event: &ShopEvent) -> Result<()> {
        use mainspring::Event;
        let name = event.event_type().name;
        match self.by_type.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.by_type.insert(name.to_owned(), 1)),
        }
        let (day, orders, cents) = match *event {
            ShopEvent::Confirmed(OrderConfirmed { order, day, cents, .. }) => {
                *self.confirmed.entry(order).or_default() += 1;
                (day, 1, cents)
            }
            ShopEvent::Withdrawn(OrderWithdrawn { day, refund, .. }) => {
                (day, 0, total(Cents::ZERO.checked_sub(refund))?)
            }
        };
        let sales = self.days.entry(day).or_default();
        *sales = total(sales.and(orders, cents))?;
        Ok(())
    }
}

/// Waits until everything has been published, and every group has handled what it got.
pub(super) async fn handled(shop: &Shop, watch: &Stopwatch<'_, impl Progress>) -> Result<()> {
    let admin = shop.admin()?;
    let (mut looks, mut seen) = (interval(LOOK_EVERY), (None, 0, Instant::now()));
    loop {
        looks.tick().await;
        let fed = fed(admin, shop.store()).await?;
        // Asked behind the feed: what was published before is counted.
        let lag = lag(admin).await?;
        if fed.is_some_and(|(_, complete)| complete) && lag == 0 {
            return Ok(());
        }
        if (fed, lag) != (seen.0, seen.1) {
            seen = (fed, lag, Instant::now());
        }
        watch.at(fed.map_or(0, |(after, _)| after.0));
        ensure!(seen.2.elapsed() < STUCK, "{lag} messages are not handled, and nobody works on them; see the log");
    }
}

/// What the subscribers have not handled.
async fn lag(admin: &dyn Admin) -> Result<u64> {
    let groups = admin.groups().await?.into_iter();
    let ours = groups.filter(|status| [NOTIFICATION, ANALYTICS, AUDIT].contains(&status.group.as_str()));
    Ok(ours.map(|status| status.lag).sum())
}

impl Messages {
    /// Compares what is there with what has to be.
    pub(super) async fn of(shop: &Shop, heard: Heard) -> Result<Self> {
        let (kept, mails, days) = tokio::try_join!(trail(shop.store()), shop.mails().sent(), sales(shop.store()))?;
        let dead_letters = given_up(shop.admin()?).await?;
        let all = days.values().try_fold(Sales::default(), |sum, sales| sum.and(sales.orders, sales.cents));
        let all = total(all)?;
        let mut messages = Self {
            kept: kept.values().sum(),
            mails: mails.values().sum(),
            days: days.len() as u64,
            orders: all.orders,
            cents: all.cents,
            dead_letters,
            ..Self::default()
        };
        messages.compare("messages kept of", &heard.by_type, &kept);
        messages.compare("sales of", &shown(&heard.days), &shown(&days));
        let mut answered = mails;
        let letters = messages.dead_letters.iter().filter(|letter| letter.group == NOTIFICATION);
        for OrderId(order) in letters.filter_map(|letter| letter.order) {
            *answered.entry(order).or_default() += 1;
        }
        let asked: BTreeMap<_, _> = heard.confirmed.into_iter().map(|(OrderId(order), times)| (order, times)).collect();
        messages.compare("mails and dead letters of order", &asked, &answered);
        messages.published = heard.by_type;
        Ok(messages)
    }

    /// Names what differs between what the events say and what is there.
    fn compare<K: Ord + ToString, V: PartialEq + ToString>(
        &mut self,
        what: &str,
        events: &BTreeMap<K, V>,
        there: &BTreeMap<K, V>,
    ) {
        if events == there {
            return;
        }
        let cell = |value: Option<&V>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        for key in events.keys().chain(there.keys()).collect::<BTreeSet<_>>() {
            let (expected, found) = (events.get(key), there.get(key));
            if expected != found {
                self.differences_found += 1;
                if self.differences.len() < NAMED {
                    let (key, expected, found) = (key.to_string(), cell(expected), cell(found));
                    self.differences.push(format!("{what} {key}: {expected} by the events, {found} there"));
                }
            }
        }
    }
}

fn shown(days: &BTreeMap<Date, Sales>) -> BTreeMap<Date, String> {
    let text = |sales: &Sales| format!("{} orders, {} dollars", sales.orders, sales.cents);
    days.iter().map(|(day, sales)| (*day, text(sales))).collect()
}

/// The dead letters of the shop's groups.
async fn given_up(admin: &dyn Admin) -> Result<Vec<GivenUp>> {
    let mut all = Vec::new();
    for group in [NOTIFICATION, ANALYTICS, AUDIT] {
        let keeper = format!("{group}.dead");
        for Pending { message, place, .. } in admin.browse(&keeper.parse()?, NAMED).await? {
            let Some(DeadLetter { reason, attempts, group, .. }) = DeadLetter::read(&message) else { continue };
            let key = message.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
            all.push(GivenUp {
                group: group.to_string(),
                kept_by: keeper.clone(),
                place: place.map_or_else(String::new, |place| place.to_string()),
                order: key.and_then(OrderId::of_key),
                reason,
                attempts,
            });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let mut messages = Messages::default();
        let (events, there) = (BTreeMap::from([(1, 1), (2, 1), (3, 1)]), BTreeMap::from([(2, 2), (3, 1), (4, 1)]));
        messages.compare("mails of order", &events, &there);
        assert_eq!(
            messages.differences,
            [
                "mails of order 1: 1 by the events, nothing there",
                "mails of order 2: 1 by the events, 2 there",
                "mails of order 4: nothing by the events, 1 there",
            ]
        );
        assert_eq!(messages.differences_found, 3);
    }
}
