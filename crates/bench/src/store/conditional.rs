//! What conditions cost where nobody else writes: the same appends with and without, on two stores in turn.

use std::path::Path;

use super::clients::{Clients, Condition};
use crate::{
    Settings,
    paired::Rounds,
    table::{Bar, Row, Table},
};

const SHAPES: [(&str, usize, usize, Condition); 8] = [
    ("expected versions, 1 client, 1 event", 1, 1, Condition::Versions),
    ("expected versions, 64 clients, 1 event", 64, 1, Condition::Versions),
    ("expected versions, 1 client, 1000 events", 1, 1000, Condition::Versions),
    ("expected versions, 8 clients, 1000 events", 8, 1000, Condition::Versions),
    ("consistency boundary, 1 client, 1 event", 1, 1, Condition::NoMatch),
    ("consistency boundary, 64 clients, 1 event", 64, 1, Condition::NoMatch),
    ("consistency boundary, 1 client, 1000 events", 1, 1000, Condition::NoMatch),
    ("consistency boundary, 8 clients, 1000 events", 8, 1000, Condition::NoMatch),
];

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    let wanted: Vec<_> = SHAPES.iter().filter(|(name, ..)| settings.wants(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    table.section(
        "Conditional append",
        "beside is the same append without conditions, on a second store; with expected versions every event expects the \
         version of its stream; a consistency boundary is one condition an append, that no event has the tag of its first \
         event since it was last written",
    );
    for &(name, clients, batch, condition) in wanted {
        let stores = [super::open(directory, "conditional")?, super::open(directory, "unconditional")?];
        let mut conditional = Clients::new(clients, batch, condition, false)?;
        let mut unconditional = Clients::new(clients, batch, Condition::None, false)?;
        let mut rounds = Rounds::new(settings.rounds());
        while rounds.begin() {
            let (ours, latencies) = conditional.slice(&stores[0]).await?;
            let (beside, _) = unconditional.slice(&stores[1]).await?;
            rounds.end(&[ours, beside], latencies);
        }
        let row = Row::of_rounds(name, "events/s", rounds).beside_is("unconditional");
        table.print(row.bar(Bar::Ratio(0.8)))?;
        drop(stores);
        std::fs::remove_dir_all(directory.join("conditional"))?;
        std::fs::remove_dir_all(directory.join("unconditional"))?;
    }
    Ok(())
}
