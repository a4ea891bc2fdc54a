//! Parts of benchmarks that need a process of their own: one that is killed, one that opens afresh, one whose memory counts.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use mainspring::{
    Store,
    disk::DiskStore,
    store::{Append, Query, Read},
};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

use crate::{
    machine, messaging,
    store::{Source, fill, read_through},
};

/// What a child is started for.
#[derive(Args)]
pub(crate) struct Job {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Appends so many events, says so, and goes on appending until it is killed.
    Fill { directory: PathBuf, events: usize },
    /// Opens, says how long that took, and appends until it is killed.
    Open { directory: PathBuf },
    /// Opens, appends some, reads some, and says how much memory it takes.
    Memory { directory: PathBuf },
    /// A part of the benchmark of messages.
    #[command(subcommand)]
    Messages(messaging::Task),
}

/// What a child has to say.
#[derive(Serialize, Deserialize)]
pub(crate) struct Said {
    /// How long opening took.
    pub(crate) open_seconds: f64,
    /// Memory of its own, without the pages of mapped files.
    pub(crate) anonymous_bytes: u64,
}

/// A child that goes on appending until it is killed.
pub(crate) struct Running {
    child: Child,
    pub(crate) said: Said,
}

/// Starts a child that appends `events` events; comes back when it has, while it goes on.
pub(crate) fn fill_and_go_on(directory: &Path, events: usize) -> anyhow::Result<Running> {
    start(Command::new(std::env::current_exe()?).args(["child", "fill"]).arg(directory).arg(events.to_string()))
}

/// Starts a child that opens the store; comes back when it has, while it appends.
pub(crate) fn open_and_append(directory: &Path) -> anyhow::Result<Running> {
    start(Command::new(std::env::current_exe()?).args(["child", "open"]).arg(directory))
}

/// Runs a child that opens the store, uses it and tells its memory.
pub(crate) fn memory(directory: &Path) -> anyhow::Result<Said> {
    let mut running = start(Command::new(std::env::current_exe()?).args(["child", "memory"]).arg(directory))?;
    running.child.wait()?;
    Ok(running.said)
}

fn start(command: &mut Command) -> anyhow::Result<Running> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start a child process")?;
    let out = child.stdout.take().context("the child has no output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let said = serde_json::from_str(&line).with_context(|| format!("the child failed; it said `{line}`"))?;
    Ok(Running { child, said })
}

impl Running {
    /// Ends it by SIGKILL, in the middle of an append.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

/// Does what a child is started for.
pub(crate) async fn run(job: Job) -> anyhow::Result<()> {
    // A child that appends for ever must not outlive a benchmark that was interrupted.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match job.task {
        Task::Fill { directory, events } => {
            let (store, seconds) = open(&directory)?;
            let mut source = Source::varied()?;
            fill(&store, &mut source, events).await?;
            say(seconds)?;
            append_for_ever(&store, &mut source).await
        }
        Task::Open { directory } => {
            let (store, seconds) = open(&directory)?;
            say(seconds)?;
            append_for_ever(&store, &mut Source::varied()?).await
        }
        Task::Memory { directory } => {
            let (store, seconds) = open(&directory)?;
            let mut source = Source::varied()?;
            fill(&store, &mut source, 100_000).await?;
            for number in 0..100 {
                let stream = source.stream(number * 97);
                read_through(&store, Read::new(Query::stream(stream))).await?;
            }
            read_through(&store, Read::new(Query::All).backwards().limit(100_000)).await?;
            say(seconds)
        }
        Task::Messages(task) => messaging::run_task(task).await,
    }
}

fn open(directory: &Path) -> anyhow::Result<(Store, f64)> {
    let begun = Instant::now();
    let store = DiskStore::open(directory)?;
    Ok((Store::new(store), begun.elapsed().as_secs_f64()))
}

fn say(open_seconds: f64) -> anyhow::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kilobytes = machine::kilobytes(&status, "RssAnon").context("the system does not tell anonymous memory")?;
    let said = Said { open_seconds, anonymous_bytes: kilobytes * 1024 };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&said)?)?;
    Ok(out.flush()?)
}

async fn append_for_ever(store: &Store, source: &mut Source) -> anyhow::Result<()> {
    loop {
        store.append(Append::new(source.events(100)?)).await?;
    }
}
