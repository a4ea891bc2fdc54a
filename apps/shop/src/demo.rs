//! The demo: every purchase of the input becomes an order that is placed, paid and shipped, and then three independent
//! ways to the same figures have to agree.
//!
//! **What it does.** Each purchase is an order of its own (see [`data`](crate::data)). It is placed at a moment of the
//! shop's day on the purchase's date, paid within half an hour, and shipped one or two days later; a purchase of zero
//! dollars is placed as a promotion and needs no payment. These moments are derived from the order's number alone, so that
//! every run says the same. Commands go out in the order of their moments, up to 192 at once, those of one order one after
//! the other; each is decided on the order's own events and appended durably. The read models follow meanwhile.
//!
//! **Interrupted?** Start it again. It reads what is there, goes on with each order where that one stands, and repeats
//! nothing; should a command have been stored without an answer, its idempotency key gives the answer now.
//!
//! **What others hear.** Messages about the orders are published meanwhile and handled by three subscribers
//! ([`messages`](crate::messages)). The mail of order 113 is refused three times, which is as often as it is tried: it becomes
//! a dead letter, is shown with its reason, and can be sent again (`mainspring dead-letters resubmit`); the next run then
//! handles it.
//!
//! **What has to agree.** The orders that are compared are those asked for ([`Options::orders`]) and those that the store
//! already holds from earlier runs, which are finished, too. Totals, every day, every customer and every order are computed
//! from the input, from a replay of the events, and from the read models. Money counts on the day of its payment, which
//! here is the day of the purchase. Other categories in the same store do not take part; an order that no line of the
//! input explains does, and is reported.

mod agenda;
mod books;
mod commands;
mod effort;
mod footprint;
mod history;
mod messages;
mod metered;
mod progress;
mod read_models;
mod reconcile;
mod report;
mod shop;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use mainspring::Repository;
use tokio::task::JoinSet;

use crate::data::{Input, Purchase};
use agenda::Agenda;
use books::Books;
use footprint::footprint;
use history::History;
use messages::Heard;
use metered::Appending;
use progress::Stopwatch;
use reconcile::Reconciliation;
use shop::Shop;

pub use effort::{CommandEffort, Effort, LagEffort, Processors, ProjectionEffort};
pub use messages::{GivenUp, Messages};
pub use progress::{Phase, PhaseTime, Progress};
pub use reconcile::{Compared, Difference, Totals};
pub use report::{Latency, Report, Size};

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the store; the read models are in `views` inside.
    pub data: PathBuf,
    /// Only the first so many purchases of the input; all when `None`.
    pub orders: Option<u64>,
    /// The input; the bundled purchases when `None`.
    pub input: Option<PathBuf>,
    /// How long events gather for the read models while they keep coming
    /// ([`linger`](mainspring::projection::Options::linger)); 50 ms when `None`, because nobody asks them before the end.
    pub linger: Option<Duration>,
}

/// How long events gather for the read models unless said otherwise. Nobody asks them before the end, so they may be
/// behind for longer than is usual, and cost less than half.
const LINGER: Duration = Duration::from_millis(50);

/// Places, has paid and ships what is not yet, and reconciles.
///
/// # Errors
/// When the input cannot be read, the store or the read models cannot be used, or the store holds orders of another input.
/// That figures differ is no error but part of the [`Report`].
///
/// # Cancel safety
/// Dropping it is as good as killing the process: the next run goes on.
pub async fn run(options: &Options, progress: &impl Progress) -> Result<Report> {
    let begun = Instant::now();
    let mut watch = Stopwatch::new(progress);
    watch.phase(Phase::Input, 0);
    let input = match &options.input {
        Some(path) => Input::read(path)?,
        None => Input::bundled(),
    };
    watch.phase(Phase::Open, 0);
    let (shop, app) = Shop::open(&options.data, options.linger.unwrap_or(LINGER)).await?;
    let done = app.run_until(serve(options, &input, &shop, &mut watch)).await??;
    watch.phase(Phase::Close, 0);
    shop.close().await?;
    let footprint = footprint(&options.data)?;
    let phases = watch.finish();
    Ok(Report::new(options, input, done, footprint, phases, begun.elapsed()))
}

/// What there is to do while the read models follow.
async fn serve(
    options: &Options,
    input: &Input,
    shop: &Shop,
    watch: &mut Stopwatch<'_, impl Progress>,
) -> Result<Done> {
    watch.phase(Phase::Resume, 0);
    let before = History::read(shop.store()).await?;
    let scope = scope(options, input, &before)?;
    let agenda = Agenda::of(&scope, &before)?;

    watch.phase(Phase::Commands, agenda.count());
    let appending = Appending::default();
    let orders = Repository::new(&appending.watch(shop.store()));
    let latencies = commands::carry_out(orders, agenda, watch).await?;

    watch.phase(Phase::Messages, shop.store().info().await?.head.0);
    messages::handled(shop, watch).await?;
    // The messages are events, too, which the read models pass.
    let head = shop.store().info().await?.head;
    watch.phase(Phase::CatchUp, head.0);
    shop.caught_up(head, watch).await?;

    watch.phase(Phase::Figures, 0);
    let (stored, heard, replay, read_models) = figures(shop).await?;
    watch.phase(Phase::Compare, 0);
    let messages = Messages::of(shop, heard).await?;
    let reconciliation = Reconciliation::of(&Books::of_purchases(&scope)?, &replay, &read_models)?;
    let (log_bytes, log_events) = (shop.log_bytes()?, shop.store().info().await?.head.0);
    let effort = Effort::of(shop, &appending, &latencies);
    Ok(Done { reconciliation, messages, latencies, effort, found: before.events, stored, log_bytes, log_events })
}

/// The number of events and what others have to hear of them, and the figures as a replay and as the read models have them.
async fn figures(shop: &Shop) -> Result<(u64, Heard, Books, Books)> {
    let store = shop.store().clone();
    // On another thread; dropping the set ends it should the read models fail.
    let mut replaying = JoinSet::new();
    replaying.spawn(async move {
        let mut history = History::read(&store).await?;
        let heard = std::mem::take(&mut history.heard);
        anyhow::Ok((history.events, heard, history.books()?))
    });
    let read_models = read_models::books(shop).await?;
    let replayed = replaying.join_next().await.context("the replay was spawned")?;
    let (stored, heard, replay) = replayed??;
    Ok((stored, heard, replay, read_models))
}

/// What one run came to.
struct Done {
    reconciliation: Reconciliation,
    messages: Messages,
    latencies: Vec<Duration>,
    effort: Effort,
    /// Events of orders in the store before it began …
    found: u64,
    /// … and now.
    stored: u64,
    /// The log and the positions in it, those of other categories included.
    log_bytes: u64,
    log_events: u64,
}

/// The purchases that take part: those asked for, and those whose orders the store holds already.
fn scope<'a>(options: &Options, input: &'a Input, history: &History) -> Result<Vec<&'a Purchase>> {
    let asked = options.orders.map_or(usize::MAX, |orders| usize::try_from(orders).unwrap_or(usize::MAX));
    let mut scope = Vec::with_capacity(asked.min(input.purchases.len()));
    for (index, purchase) in input.purchases.iter().enumerate() {
        let known = history.order(purchase.order);
        if let Some(known) = known {
            ensure!(
                known.is_of(purchase),
                "order {} in `{}` was not placed for line {} of {}: the directory holds the orders of another input; \
                 choose another directory, or the input that it was made from",
                purchase.order,
                options.data.display(),
                purchase.line,
                input.name
            );
        }
        if index < asked || known.is_some() {
            scope.push(purchase);
        }
    }
    Ok(scope)
}

/// Adds to a count; figures that do not fit are an error and never wrong.
fn total<T>(sum: Option<T>) -> Result<T> {
    sum.context("the figures are too large to be added up")
}
