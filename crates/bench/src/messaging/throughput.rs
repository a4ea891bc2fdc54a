//! How many messages a second go through one group, and through ten.

use std::path::Path;

use super::flow::{Flow, Shape};
use crate::{
    Settings,
    paired::{self, Rounds, SLICE},
    store::RawLog,
    table::{Bar, Row, Table},
};

const ONE: Shape = Shape { groups: 1, concurrency: 4_096, publishers: 4, batch: 512, unhandled: 32_768 };

const ROWS: [(&str, Shape, Bar); 4] = [
    ("one group, batches of 512", ONE, Bar::AtLeast(500_000.0)),
    ("one group, batches of 64", Shape { publishers: 8, batch: 64, ..ONE }, Bar::None),
    ("one group, 16 handlers, batches of 64", Shape { concurrency: 16, publishers: 8, batch: 64, ..ONE }, Bar::None),
    ("ten groups, batches of 512", Shape { groups: 10, concurrency: 1_024, ..ONE }, Bar::None),
];

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    let wanted: Vec<_> = ROWS.iter().filter(|(name, ..)| settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    table.section(
        "Publish to handler",
        "messages a second that every group has handled; at most 32,768 are unhandled at any moment; 4 publishers (8 with \
         batches of 64) have 4 batches on their way each; a group runs 4,096 handlers at once (1,024 each where there are \
         ten), which is what it takes at once from the broker; the raw limit is pwrite and fdatasync of as many bytes in \
         writes of a batch, where ours writes each message, its attempt and its acknowledgement",
    );
    for (name, shape, bar) in wanted {
        let flow = Flow::start(super::open(directory, "throughput").await?, *shape).await?;
        let mut raw = RawLog::create(directory, shape.batch)?;
        let mut rounds = Rounds::new(settings.rounds());
        while rounds.begin() {
            let ours = flow.slice(SLICE).await?;
            let limit = paired::rate(|| raw.append().map(|()| shape.batch))?;
            rounds.end(&[ours, limit], []);
        }
        let mut row = Row::of_rounds(*name, "msg/s", rounds).bar(*bar);
        if shape.groups > 1 {
            let deliveries = row.figure * shape.groups as f64;
            row = row.note(&format!("{} deliveries a second", crate::table::figure(deliveries)));
        }
        table.print(row)?;
        flow.stop().await?;
        std::fs::remove_dir_all(directory.join("throughput"))?;
    }
    Ok(())
}
