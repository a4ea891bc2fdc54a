//! One topic, a hundred subscriptions.

use std::path::Path;

use super::flow::{Flow, Shape};
use crate::{
    Settings,
    paired::{Rounds, SLICE},
    table::{Row, Table},
};

const NAME: &str = "fan-out to 100 subscriptions";

const SHAPE: Shape = Shape { groups: 100, concurrency: 256, publishers: 4, batch: 64, unhandled: 4_096 };

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if !settings.wants(NAME) {
        return Ok(());
    }
    table.section(
        "Fan-out",
        "deliveries a second; every message goes to each of 100 groups, which settle it by themselves; 4 publishers with \
         batches of 64, at most 4,096 messages unhandled, 256 handlers a group; beside is the number of messages",
    );
    let flow = Flow::start(super::open(directory, "fan-out").await?, SHAPE).await?;
    let mut rounds = Rounds::new(settings.rounds());
    while rounds.begin() {
        let messages = flow.slice(SLICE).await?;
        rounds.end(&[messages * SHAPE.groups as f64, messages], []);
    }
    table.print(Row::of_rounds(NAME, "per s", rounds).beside_is("messages"))?;
    flow.stop().await?;
    Ok(std::fs::remove_dir_all(directory.join("fan-out"))?)
}
