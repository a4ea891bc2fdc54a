//! Messages on the embedded broker: throughput and latency from publishing to the handler, requests, fan-out, schedules
//! and a member that is stuck; everything on a directory on disk, synced before it is acknowledged.

mod fan_out;
mod flow;
mod latency;
mod process;
mod requests;
mod scheduled;
mod stuck;
mod throughput;

use std::{fs, path::Path, sync::Arc};

use mainspring::{Store, disk::DiskStore};
use mainspring_broker_embedded::EmbeddedBroker;

pub(crate) use self::process::{Task, run as run_task};
use crate::{Settings, machine, paired::SLICE, table::Table};

/// Length of a body in bytes.
const BODY: usize = 256;

/// The topic of every row.
const TOPIC: &str = "orders";

pub(crate) async fn run(settings: &Settings, table: &mut Table) -> anyhow::Result<()> {
    fs::create_dir_all(&settings.directory)?;
    let directory = tempfile::Builder::new().prefix("messaging-").tempdir_in(&settings.directory)?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<_> = load.split(' ').take(3).collect();
    table.head(format!("Machine: {}.", machine::describe(directory.path())));
    table.head(format!("The load averages of the machine at the beginning of a run were {}.", load.join(", ")));
    table.head(format!(
        "Bodies of {BODY} bytes without keys, one partition, the embedded broker on a store on disk; handlers are run by \
         subscriptions and do nothing but count. What is sent is synced before it is confirmed, and before it is delivered; \
         so is each attempt, and each acknowledgement. What is compared ran in alternating slices of {} ms.",
        SLICE.as_millis()
    ));
    if settings.quick {
        table.head("This was a quick run with a twentieth of the messages: its figures mean little.".to_owned());
    }
    let directory = directory.path();
    throughput::run(settings, table, directory).await?;
    latency::run(settings, table, directory).await?;
    requests::run(settings, table, directory).await?;
    fan_out::run(settings, table, directory).await?;
    scheduled::run(settings, table, directory)?;
    stuck::run(settings, table, directory)
}

async fn open(directory: &Path, name: &str) -> anyhow::Result<Arc<EmbeddedBroker>> {
    let store = Store::new(DiskStore::open(directory.join(name))?);
    Ok(Arc::new(EmbeddedBroker::open(store).await?))
}
