//! What is still to be done for which order, and when it happens in the shop's own time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use tokio::sync::oneshot;

use super::history::{History, Told};
use crate::{
    Cents, OrderId,
    data::Purchase,
    order::{OrderCommand, Status},
};

/// The shop opens at eight, in UTC …
const OPENS: i8 = 8;

/// … and takes orders for eleven hours, so that what is ordered last is still paid on the same day.
const OPEN_SECONDS: u64 = 11 * 60 * 60;

/// A payment arrives within so many minutes.
const PAID_WITHIN: u64 = 30;

/// The parcels of an order leave after one or two days.
const SHIPPED_WITHIN: u64 = 2;

/// A prime spreads consecutive orders over the day.
const SPREAD: u64 = 7_919;

/// Why purchases of zero dollars are free: the input does not say.
const PROMOTION: &str = "free of charge";

/// Everything that is to be done, by time. Clerks take steps from it.
pub(super) struct Agenda {
    steps: Mutex<std::vec::IntoIter<Step>>,
    count: u64,
}

/// One command.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) order: OrderId,
    pub(super) key: &'static str,
    pub(super) command: OrderCommand,
    /// Told when the order's step before this one is done; `None` for its first.
    pub(super) after: Option<oneshot::Receiver<()>>,
    /// Tells the order's next step that this one is done; `None` once it was told.
    pub(super) done: Option<oneshot::Sender<()>>,
}

impl Agenda {
    /// What is still missing of these purchases.
    pub(super) fn of(purchases: &[&Purchase], history: &History) -> Result<Self> {
        let mut steps = Vec::with_capacity(3 * purchases.len());
        for purchase in purchases {
            let status = history.order(purchase.order).map_or(Status::New, Told::status);
            steps.extend(steps_of(purchase)?.into_iter().flatten().filter(|step| !is_done(status, &step.command)));
        }
        // The times of one order differ, so its steps keep their order.
        steps.sort_unstable_by_key(|step| (step.at, step.order));
        let mut last = HashMap::with_capacity(purchases.len());
        for step in &mut steps {
            let (done, told) = oneshot::channel();
            (step.done, step.after) = (Some(done), last.insert(step.order, told));
        }
        let count = steps.len() as u64;
        Ok(Self { steps: Mutex::new(steps.into_iter()), count })
    }

    /// How many steps there are at the beginning.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The next step. Whoever takes it waits for the order's step before it, which was taken earlier.
    pub(super) fn take(&self) -> Option<Step> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

/// Whether an order that has come to `status` needs the command no more.
fn is_done(status: Status, command: &OrderCommand) -> bool {
    match command {
        OrderCommand::Place { .. } => status >= Status::Placed,
        OrderCommand::ConfirmPayment { .. } => status >= Status::Paid,
        OrderCommand::Ship | OrderCommand::Cancel { .. } => status >= Status::Shipped,
    }
}

/// Everything a purchase needs.
fn steps_of(purchase: &Purchase) -> Result<[Option<Step>; 3]> {
    let Purchase { order, customer, date, units, cents, .. } = *purchase;
    let OrderId(number) = order;
    let placed = opening(date)? + seconds(number * SPREAD % OPEN_SECONDS);
    let paid = placed + seconds(60 * (1 + number % PAID_WITHIN));
    let shipped = placed + seconds(24 * 60 * 60 * (1 + number % SHIPPED_WITHIN));
    let free = cents == Cents::ZERO;
    let promotion = free.then(|| PROMOTION.to_owned());
    let place = OrderCommand::Place { customer, units, cents, promotion };
    let pay = OrderCommand::ConfirmPayment { payment: format!("payment-{order}"), cents };
    let step = |at, key, command| Step { at, order, key, command, after: None, done: None };
    Ok([
        Some(step(placed, "place", place)),
        (!free).then(|| step(paid, "pay", pay)),
        Some(step(shipped, "ship", OrderCommand::Ship)),
    ])
}

fn opening(date: Date) -> Result<Timestamp> {
    Ok(date.at(OPENS, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp())
}

fn seconds(seconds: u64) -> SignedDuration {
    // At most two days.
    SignedDuration::from_secs(seconds as i64)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{CustomerId, views::day};

    fn purchase(number: u64, cents: i64) -> Purchase {
        let date = date(1997, 12, 31);
        Purchase { order: OrderId(number), line: number, customer: CustomerId(7), date, units: 1, cents: Cents(cents) }
    }

    #[test]
    fn an_order_is_placed_and_paid_on_its_day_and_shipped_soon_after() {
        for number in 0..100_000 {
            let [place, pay, ship] = steps_of(&purchase(number, 1)).unwrap().map(|step| step.unwrap().at);
            assert_eq!((day(place), day(pay)), (date(1997, 12, 31), date(1997, 12, 31)));
            assert!(place < pay && pay < ship, "{number}");
            assert!(ship.duration_since(pay) < SignedDuration::from_hours(48), "{number}");
        }
    }

    #[test]
    fn what_is_free_is_not_paid() {
        let [place, pay, ship] = steps_of(&purchase(1, 0)).unwrap();
        assert!(matches!(place.unwrap().command, OrderCommand::Place { promotion: Some(_), .. }));
        assert!(pay.is_none() && ship.is_some());
    }

    #[test]
    fn steps_go_out_by_time_and_those_of_an_order_wait_for_each_other() {
        let purchases: Vec<_> = (0..1_000).map(|number| purchase(number, 1)).collect();
        let agenda = Agenda::of(&purchases.iter().collect::<Vec<_>>(), &History::default()).unwrap();
        assert_eq!(agenda.count(), 3_000);
        let mut steps: Vec<_> = std::iter::from_fn(|| agenda.take()).collect();
        assert_eq!(steps.len(), 3_000);
        assert!(steps.is_sorted_by_key(|step| step.at));
        let mut of_one: Vec<_> = steps.iter_mut().filter(|step| step.order == OrderId(17)).collect();
        assert_eq!(of_one.iter().map(|step| step.key).collect::<Vec<_>>(), ["place", "pay", "ship"]);
        assert!(of_one[0].after.is_none());
        let mut told = |index: usize| of_one[index].after.as_mut().unwrap().try_recv().is_ok();
        assert!(!told(1) && !told(2));
        of_one[0].done.take().unwrap().send(()).unwrap();
        let mut told = |index: usize| of_one[index].after.as_mut().unwrap().try_recv().is_ok();
        assert!(told(1) && !told(2));
    }
}
