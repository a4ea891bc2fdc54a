//! What is still to be done for which order, and when it happens in the shop's own time.

use anyhow::Result;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

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

/// Everything that is to be done, by time.
pub(super) struct Agenda {
    steps: Vec<Step>,
}

/// One command.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) order: OrderId,
    pub(super) key: &'static str,
    pub(super) command: OrderCommand,
}

impl Agenda {
    /// What is still missing of these purchases.
    pub(super) fn of(purchases: &[&Purchase], history: &History) -> Result<Self> {
        let mut steps = Vec::with_capacity(3 * purchases.len());
        for purchase in purchases {
            let missing = steps_of(purchase)?;
            let done = history.order(purchase.order).map_or(Status::New, Told::status);
            steps.extend(missing.into_iter().flatten().filter(|step| !is_done(done, &step.command)));
        }
        // The times of one order differ, so its steps keep their order.
        steps.sort_unstable_by_key(|step| (step.at, step.order));
        Ok(Self { steps })
    }

    pub(super) fn len(&self) -> u64 {
        self.steps.len() as u64
    }

    /// The same for so many clerks: each has orders of its own and their steps by time, so that the commands of one order
    /// come one after the other, and those of different orders between each other.
    pub(super) fn divide(self, clerks: usize) -> Vec<Vec<Step>> {
        let mut parts: Vec<Vec<Step>> = std::iter::repeat_with(Vec::new).take(clerks).collect();
        for step in self.steps {
            let clerk = step.order.0 % clerks as u64;
            // Less than the number of clerks, which is a `usize`.
            parts[clerk as usize].push(step);
        }
        parts
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
    Ok([
        Some(Step { at: placed, order, key: "place", command: place }),
        (!free).then_some(Step { at: paid, order, key: "pay", command: pay }),
        Some(Step { at: shipped, order, key: "ship", command: OrderCommand::Ship }),
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
    fn each_order_has_one_clerk_and_its_steps_in_order() {
        let purchases: Vec<_> = (0..1_000).map(|number| purchase(number, 1)).collect();
        let agenda = Agenda::of(&purchases.iter().collect::<Vec<_>>(), &History::default()).unwrap();
        assert_eq!(agenda.len(), 3_000);
        let parts = agenda.divide(7);
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 3_000);
        for (clerk, part) in parts.iter().enumerate() {
            for order in part.iter().map(|step| step.order) {
                assert_eq!(order.0 as usize % 7, clerk);
                let keys: Vec<_> = part.iter().filter(|step| step.order == order).map(|step| step.key).collect();
                assert_eq!(keys, ["place", "pay", "ship"]);
            }
        }
        let first = &parts[0];
        assert!(first.windows(2).any(|pair| pair[0].order != pair[1].order && pair[0].key == "place"), "interleaved");
    }
}
