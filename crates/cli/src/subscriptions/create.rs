//! Making a group: what it gets, how its members share, what stays in order.

use std::str::FromStr as _;

use bytes::Bytes;
use clap::ValueEnum;
use mainspring_broker::{
    AfterDeadLetter, Binding, Broker, Destination, Filter, Group, Order, Pattern, Require, Sharing, Start,
    Subscription, Topology,
};

use crate::{
    broker::{expect_topic, words},
    output::Output,
    topics, units,
};

#[derive(clap::Args)]
#[command(after_help = "\
Several filters select what any of them selects; without one, the group gets everything. Each filter is for every --from.

A group with --dead-letter puts what cannot be handled into that topic; make the topic, and a group that keeps its dead
letters, or nothing can be put there. `mainspring dead-letters` works on that group.")]
pub(super) struct Args {
    /// Its name: letters, digits, `.`, `_` and `-`.
    group: Group,
    /// The topic that it gets messages from; may be repeated.
    #[arg(long, value_name = "TOPIC", required = true)]
    from: Vec<Destination>,
    /// Only with exactly this routing key; may be repeated.
    #[arg(long, value_name = "KEY")]
    direct: Vec<String>,
    /// Only with a routing key that this matches: `*` is one word, `#` any number of them; may be repeated.
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pattern: Vec<Pattern>,
    /// Only with all of these headers; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = words::header, conflicts_with = "any_header")]
    header: Vec<(String, Bytes)>,
    /// Only with one of these headers; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = words::header)]
    any_header: Vec<(String, Bytes)>,
    /// How members share: each message goes to whoever asks first, or each partition to one member.
    #[arg(long, value_enum, default_value = "competing")]
    sharing: Shares,
    /// What stays in order: nothing, or the messages of a key, which wait in place, are parked, or belong to one member.
    #[arg(long, value_enum, default_value = "unordered")]
    order: Keeps,
    /// Where messages go that cannot be handled, and those that expire.
    #[arg(long, value_name = "TOPIC")]
    dead_letter: Option<Destination>,
    /// Let a dead letter hold its key until somebody resumes it.
    #[arg(long, requires = "dead_letter")]
    hold: bool,
    /// Where it begins in logs: `earliest`, `latest`, or with what was sent at this time or later.
    #[arg(long, value_name = "WHEN", default_value = "latest", value_parser = start)]
    start: Start,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shares {
    Competing,
    Slices,
}

#[derive(Clone, Copy, ValueEnum)]
enum Keeps {
    Unordered,
    KeyBlocks,
    KeyParks,
    Sessions,
}

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::from_str(text).map_err(|error| error.to_string())
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "earliest" => Ok(Start::Earliest),
        "latest" => Ok(Start::Latest),
        time => units::time(time).map(Start::Time).map_err(|hint| format!("write `earliest` or `latest`, or {hint}")),
    }
}

pub(super) async fn run(broker: &dyn Broker, args: Args, output: &mut Output) -> anyhow::Result<()> {
    for topic in args.from.iter().chain(&args.dead_letter) {
        expect_topic(broker, topic).await?;
    }
    let group = args.group.clone();
    let topology = Topology::new().subscription(subscription(args));
    topics::ensure(broker, &topology, group.as_str(), output).await
}

fn subscription(args: Args) -> Subscription {
    let direct = args.direct.into_iter().map(Filter::Direct);
    let patterns = args.pattern.into_iter().map(Filter::Pattern);
    let headers = [(Require::All, args.header), (Require::Any, args.any_header)];
    let headers = headers.into_iter().filter(|(_, headers)| !headers.is_empty());
    let headers = headers.map(|(require, headers)| Filter::Headers { require, headers });
    let mut filters: Vec<_> = direct.chain(patterns).chain(headers).collect();
    if filters.is_empty() {
        filters.push(Filter::All);
    }
    let bound =
        |from: Destination| filters.iter().map(move |filter| Binding { from: from.clone(), filter: filter.clone() });
    Subscription {
        group: args.group,
        bindings: args.from.into_iter().flat_map(bound).collect(),
        start: args.start,
        sharing: match args.sharing {
            Shares::Competing => Sharing::Competing,
            Shares::Slices => Sharing::Slices,
        },
        order: match args.order {
            Keeps::Unordered => Order::Unordered,
            Keeps::KeyBlocks => Order::KeyBlocks,
            Keeps::KeyParks => Order::KeyParks,
            Keeps::Sessions => Order::Sessions,
        },
        dead_letter: args.dead_letter,
        after_dead_letter: if args.hold { AfterDeadLetter::Hold } else { AfterDeadLetter::Continue },
    }
}
