//! Parts of these benchmarks that need a process of their own: one that is killed, one whose memory counts.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context;
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::{
    scheduled::{self, Part},
    stuck,
};
use crate::machine;

/// What a child is started for.
#[derive(Subcommand)]
pub(crate) enum Task {
    /// Schedules messages or handles what is due.
    Scheduled { directory: PathBuf, messages: u64, part: Part },
    /// Lets messages flow through a group, beside a stuck one or alone.
    Flow {
        directory: PathBuf,
        messages: u64,
        #[arg(long)]
        stuck: bool,
    },
}

/// Does what a child is started for.
pub(crate) async fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Scheduled { directory, messages, part } => scheduled::work(&directory, messages, part).await,
        Task::Flow { directory, messages, stuck } => stuck::work(&directory, messages, stuck).await,
    }
}

/// What a child has to say.
#[derive(Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) what: String,
    /// Seconds, or a rate, as the line says.
    pub(super) figure: f64,
    /// The most memory of its own at any look, without the pages of mapped files.
    pub(super) memory: u64,
}

/// A child and what it says.
pub(super) struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    pub(super) fn start(task: &str, directory: &Path, arguments: &[String]) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["child", "messages", task]).arg(directory).args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start a child process")?;
        let lines = BufReader::new(child.stdout.take().context("the child has no output")?);
        Ok(Self { child, lines })
    }

    /// Waits until it says this.
    pub(super) fn hear(&mut self, what: &str) -> anyhow::Result<Said> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let said: Said = serde_json::from_str(&line).with_context(|| format!("the child failed; it said `{line}`"))?;
        anyhow::ensure!(said.what == what, "the child said `{}` instead of `{what}`", said.what);
        Ok(said)
    }

    /// Ends it by SIGKILL.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has ended.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        anyhow::ensure!(status.success(), "a child failed: {status}");
        Ok(())
    }
}

pub(super) fn say(what: &str, figure: f64, memory: u64) -> anyhow::Result<()> {
    let said = Said { what: what.to_owned(), figure, memory };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(&said)?)?;
    Ok(out.flush()?)
}

/// The most memory at any look.
#[derive(Default)]
pub(super) struct Memory(AtomicU64);

impl Memory {
    pub(super) fn look(&self) -> anyhow::Result<u64> {
        let status = fs::read_to_string("/proc/self/status")?;
        let kilobytes = machine::kilobytes(&status, "RssAnon").context("the system does not tell anonymous memory")?;
        let now = kilobytes * 1024;
        Ok(self.0.fetch_max(now, Ordering::Relaxed).max(now))
    }
}
