//! Standard output, where the data goes.

use std::{
    io::{self, BufWriter, StdoutLock, Write as _},
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use crate::style::Style;

/// How often a command that waits looks whether anybody still reads what it prints.
const LOOK: Duration = Duration::from_millis(200);

/// Standard output, and the form that was asked for.
pub(crate) struct Output {
    writer: BufWriter<StdoutLock<'static>>,
    json: bool,
    style: Style,
}

/// Standard output cannot be written. A pipe that nobody reads any more is told apart by its kind.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written")]
pub(crate) struct OutputError(#[source] pub(crate) io::Error);

impl OutputError {
    /// Whether it is a pipe that nobody reads any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let stdout = io::stdout().lock();
        let style = Style::of(&stdout);
        Self { writer: BufWriter::with_capacity(1 << 16, stdout), json, style }
    }

    /// Whether programs read it and not people.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// How text for people is set off.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.writer.write_all(bytes).map_err(OutputError)
    }

    /// Writes text and ends the line.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), OutputError> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), OutputError> {
        serde_json::to_writer(&mut self.writer, value).map_err(|error| OutputError(error.into()))?;
        self.bytes(b"\n")
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        self.writer.flush().map_err(OutputError)
    }
}

/// Completes when a follower is interrupted or nobody reads what it prints. A program that ends by itself need not know.
pub(crate) async fn unwanted(follow: bool) -> io::Result<()> {
    if !follow {
        return std::future::pending().await;
    }
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        () = closed() => Ok(()),
    }
}

/// Completes when nobody reads standard output any more.
async fn closed() {
    let stdout = io::stdout();
    while !is_closed(&stdout) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether a pipe has lost its reader. What cannot be told, as of a file, is taken as open; a write finds out.
fn is_closed(stdout: &io::Stdout) -> bool {
    let mut polled = [PollFd::new(stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
}
