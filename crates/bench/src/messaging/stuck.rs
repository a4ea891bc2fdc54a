//! Ten million messages behind a member that is stuck, and another group beside it.

use std::{path::Path, sync::Arc, time::Duration};

use mainspring_broker::{Binding, Broker, Deliveries, Ensure, Limit, Next, Settler, SubscriptionSpec, Topic, Topology};

use super::{
    TOPIC,
    flow::{Flow, Shape},
    process::{Memory, Process, Said, say},
};
use crate::{
    Settings,
    table::{Bar, Row, Table},
};

const NAME: &str = "stuck consumer";

const MESSAGES: usize = 10_000_000;

/// What the stuck member holds.
const HELD: usize = 1_000;

const SHAPE: Shape = Shape { groups: 1, concurrency: 4_096, publishers: 4, batch: 512, unhandled: 32_768 };

pub(super) fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if !settings.wants(NAME) {
        return Ok(());
    }
    let messages = settings.scaled(MESSAGES);
    table.section(
        "A stuck consumer",
        format!(
            "a member holds {HELD} messages and never settles while {messages} messages come after them; another group handles \
             all (as in the first row of all: batches of 512, 4,096 handlers); alone is the same without the stuck group and \
             with a tenth of the messages, in a process of its own; memory is RssAnon, the most at any of ten looks",
        ),
    );
    let measure = |stuck: bool, messages: usize| {
        let directory = directory.join("stuck");
        let mut arguments = vec![messages.to_string()];
        arguments.extend(stuck.then(|| "--stuck".to_owned()));
        let mut process = Process::start("flow", &directory, &arguments)?;
        let tenth = process.hear("a tenth")?;
        let ended = process.hear("ended")?;
        process.end()?;
        std::fs::remove_dir_all(directory)?;
        anyhow::Ok((tenth, ended))
    };
    let (_, alone) = measure(false, messages / 10)?;
    let (tenth, stuck) = measure(true, messages)?;
    let megabytes = |said: &Said| said.memory as f64 / 1e6;
    let row = Row::new("stuck consumer, the other group", stuck.figure, "msg/s");
    table.print(row.beside("alone", alone.figure, stuck.figure / alone.figure))?;
    let row = Row::new("stuck consumer, memory", megabytes(&stuck), "MB");
    let row = row.beside("a tenth of it", megabytes(&tenth), megabytes(&stuck) / megabytes(&tenth));
    let note = format!(
        "{} MB without the stuck member, with a tenth of the messages",
        crate::table::figure(megabytes(&alone))
    );
    table.print(row.bar(Bar::RatioAtMost(1.25)).note(&note))
}

/// What a child does.
pub(super) async fn work(directory: &Path, messages: u64, stuck: bool) -> anyhow::Result<()> {
    let broker = super::open(directory, "store").await?;
    let flow = Flow::start(broker.clone(), SHAPE).await?;
    let memory = Memory::default();
    let member = if stuck { Some(join(&*broker, &flow).await?) } else { None };
    let begun = std::time::Instant::now();
    let before = flow.sent();
    for part in 1..=10 {
        flow.send(messages * part / 10).await?;
        let most = memory.look()?;
        if part == 1 {
            say("a tenth", 0.0, most)?;
        }
    }
    let rate = (flow.sent() - before) as f64 / begun.elapsed().as_secs_f64();
    if let Some((mut deliveries, _settler)) = member {
        let more = tokio::time::timeout(Duration::from_millis(50), deliveries.next(Limit::messages(1))).await;
        anyhow::ensure!(more.is_err(), "a full member got another message");
        let groups = broker.admin().map(|admin| admin.groups());
        let groups = groups.ok_or_else(|| anyhow::anyhow!("the embedded broker answers operators"))?.await?;
        let stuck = groups.iter().find(|status| status.group.as_str() == "stuck");
        let stands = stuck.map(|status| (status.lag, status.in_flight));
        anyhow::ensure!(stands == Some((flow.sent(), HELD as u64)), "the stuck group stands at {stands:?}");
    }
    flow.stop().await?;
    say("ended", rate, memory.look()?)
}

/// Lets a member take what it may hold, and settles nothing of it.
async fn join(broker: &dyn Broker, flow: &Flow) -> anyhow::Result<(Box<dyn Deliveries>, Arc<dyn Settler>)> {
    let group: mainspring_broker::Group = "stuck".parse()?;
    let subscription = mainspring_broker::Subscription::new(group.clone(), [Binding::all(TOPIC.parse()?)]);
    let topology = Topology::new().topic(Topic::new(TOPIC.parse()?)).subscription(subscription);
    broker.ensure(&topology, Ensure::Create).await?;
    let spec = SubscriptionSpec::new(group).prefetch(HELD, 16 << 20).lease(Duration::from_secs(3_600));
    let (mut deliveries, settler) = broker.subscribe(spec).await?;
    flow.send(2 * HELD as u64).await?;
    let mut held = 0;
    while held < HELD {
        if let Next::Batch(batch) = deliveries.next(Limit::messages(HELD)).await? {
            held += batch.len();
        }
    }
    Ok((deliveries, settler))
}
