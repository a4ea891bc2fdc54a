//! One order of the demo: its state now, or at an earlier version or moment.

use std::path::Path;

use anyhow::bail;
use jiff::Timestamp;
use mainspring::{AsOf, Store, event::Version};
use mainspring_shop::{Order, OrderId, load_state};
use serde::Serialize;

use crate::{
    exit::Exit,
    open,
    output::{Output, OutputError},
    units,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of the order, or the name of its stream.
    #[arg(value_parser = id)]
    order: OrderId,
    /// After the event with this version.
    #[arg(long, value_name = "N", group = "moment")]
    at_version: Option<u64>,
    /// As the store had it at this time, or at the beginning of this day (UTC): by when events were recorded.
    #[arg(long, value_name = "TIME", group = "moment", value_parser = units::time)]
    at_time: Option<Timestamp>,
    /// As it was at this time, or at the beginning of this day (UTC): by when events happened.
    #[arg(long, value_name = "TIME", group = "moment", value_parser = units::time)]
    occurred: Option<Timestamp>,
}

/// An order, for programs.
#[derive(Serialize)]
struct Report<'a> {
    order: String,
    #[serde(flatten)]
    state: &'a Order,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let store = Store::new(open::for_reading(directory)?);
    let mut state = load_state(&store, args.order, None).await?;
    if state == Order::default() {
        bail!("there is no order {}: `mainspring streams --category order` lists them", args.order);
    }
    if let Some(moment) = moment(&args) {
        state = load_state(&store, args.order, Some(moment)).await?;
    }
    if output.is_json() {
        output.json(&Report { order: args.order.to_string(), state: &state })?;
    } else {
        describe(args.order, &state, output)?;
    }
    Ok(Exit::Done)
}

fn moment(args: &Args) -> Option<AsOf> {
    let version = args.at_version.map(|version| AsOf::Version(Version(version)));
    version.or(args.at_time.map(AsOf::Recorded)).or(args.occurred.map(AsOf::Occurred))
}

fn describe(order: OrderId, state: &Order, output: &mut Output) -> Result<(), OutputError> {
    let Order { status, customer, units, cents, promotion, payment, refund } = state;
    let mut facts = vec![("Order", order.to_string()), ("Status", status.as_str().to_owned())];
    // Before it was placed there is nothing else to say.
    if *state != Order::default() {
        facts.push(("Customer", customer.to_string()));
        facts.push(("CDs", units::number((*units).into())));
        facts.push(("Price", format!("{cents} dollars")));
        facts.extend(promotion.iter().map(|name| ("Promotion", name.clone())));
        facts.extend(payment.iter().map(|name| ("Payment", name.clone())));
        facts.extend((refund.0 != 0).then(|| ("Refund", format!("{refund} dollars"))));
    }
    for (name, value) in facts {
        output.line(&format!("{name:<9}  {value}"))?;
    }
    Ok(())
}

fn id(text: &str) -> Result<OrderId, String> {
    text.parse().map_err(|_| "write the number of an order such as 17, or its stream such as order-000017".to_owned())
}
