//! The demo: the shop of `apps/shop` in the directory of the command, with its progress on the terminal.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use mainspring_shop::demo;

use crate::{bar::Bar, exit::Exit, output::Output};

#[derive(clap::Args)]
#[command(after_help = "\
Each purchase becomes an order that is placed, paid and shipped; what is certain about it is published, and handled by three
subscribers. Then totals, days, customers and orders are computed from the input, from the events and from the read models, and
what the subscribers did is compared with the events; the exit code is 1 when anything differs. One message ends as a dead
letter: the report says why, and how to send it again. Lines that are not purchases
are in the report, each with its number, and keep no other one out. An interrupted demo goes on where it was when it is
started again.")]
pub(crate) struct Args {
    /// Only the first so many purchases.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    orders: Option<u64>,
    /// Purchases from this file instead of the bundled ones: on each line customer, date (19970101), CDs, dollars.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Let events gather for the read models so long while they keep coming: the longer, the less work and the more lag.
    /// 0 writes each group of events by itself. [default: 50]
    #[arg(long, value_name = "MILLISECONDS")]
    linger: Option<u64>,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let Args { orders, input, linger } = args;
    let linger = linger.map(Duration::from_millis);
    let options = demo::Options { data: directory.to_owned(), orders, input, linger };
    let bar = Bar::on_terminal();
    let report = demo::run(&options, &bar).await;
    bar.clear();
    let report = report?;
    if output.is_json() {
        output.json(&report)?;
    } else {
        output.line(report.to_string().trim_end())?;
    }
    Ok(if report.reconciled { Exit::Done } else { Exit::Failed })
}
