//! The child process that drives one peer, and the lines of JSON that are spoken with it.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::Context;
use serde::Deserialize;

use crate::paired::SLICE;

/// A running driver.
pub(super) struct Driver {
    child: Child,
    /// Closed first when it is to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub(super) about: About,
}

/// What a driver says about its peer.
#[derive(Deserialize)]
pub(super) struct About {
    pub(super) name: String,
    pub(super) durability: String,
    pub(super) stream_versions: bool,
    pub(super) note: String,
    /// The processes of the peer's server; none where the driver itself writes.
    servers: Vec<u32>,
}

/// Whether a peer can be measured.
pub(super) enum Hello {
    Ready(Driver),
    /// Why not.
    Missing(String),
}

/// What a slice came to.
pub(super) struct Outcome {
    /// Events a second.
    pub(super) rate: f64,
    pub(super) latencies: Vec<Duration>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Refused { error: String },
    Given(T),
}

#[derive(Deserialize)]
struct Slice {
    events: usize,
    seconds: f64,
    latencies: Vec<u64>,
}

impl Driver {
    /// Starts the driver of the peer `name` on `directory` and waits until the peer is ready.
    pub(super) fn start(name: &str, directory: &Path) -> anyhow::Result<Hello> {
        let program = program(name);
        if !program.exists() {
            return Ok(Hello::Missing("its driver is not built; run `peers/install`".to_owned()));
        }
        let directory = directory.canonicalize()?;
        let mut child = Command::new(&program)
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().context("the driver has no output")?);
        let why = match hear(&mut output) {
            Ok(Answer::Given(about)) => return Ok(Hello::Ready(Self { child, input, output, about })),
            Ok(Answer::Refused { error }) => error,
            Err(error) => format!("its driver failed: {error:#}"),
        };
        drop(input);
        child.wait()?;
        Ok(Hello::Missing(why))
    }

    /// Appends for one slice.
    pub(super) fn slice(&mut self, clients: usize, batch: usize) -> anyhow::Result<Outcome> {
        let millis = u64::try_from(SLICE.as_millis())?;
        let order = serde_json::json!({ "clients": clients, "batch": batch, "millis": millis });
        let input = self.input.as_mut().context("the driver's input is closed")?;
        writeln!(input, "{order}")?;
        match hear(&mut self.output)? {
            Answer::Given(Slice { events, seconds, latencies }) => {
                let latencies = latencies.into_iter().map(Duration::from_nanos).collect();
                Ok(Outcome { rate: events as f64 / seconds, latencies })
            }
            Answer::Refused { error } => anyhow::bail!("{error}"),
        }
    }

    /// The processes that write to disk.
    pub(super) fn writers(&self) -> Vec<u32> {
        if self.about.servers.is_empty() { vec![self.child.id()] } else { self.about.servers.clone() }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // At the end of its input it stops its server and ends; how it ends changes no figure.
        self.input = None;
        let _ = self.child.wait();
    }
}

/// Where `peers/install` puts the driver of a peer, seen from this crate.
fn program(name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../peers");
    workspace.join("target/release").join(format!("peer-{name}"))
}

fn hear<T: for<'a> Deserialize<'a>>(output: &mut BufReader<ChildStdout>) -> anyhow::Result<Answer<T>> {
    let mut line = String::new();
    // Some peers print things of their own.
    while !line.starts_with('{') {
        line.clear();
        anyhow::ensure!(output.read_line(&mut line)? > 0, "it has ended");
    }
    serde_json::from_str(&line).with_context(|| format!("it said `{}`", line.trim_end()))
}
