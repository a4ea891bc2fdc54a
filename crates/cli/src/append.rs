//! Appending to one stream: an event from the command line, or one a line from standard input.

mod input;

use std::{
    io::{self, IsTerminal as _},
    path::Path,
};

use anyhow::{Context as _, anyhow};
use mainspring::{
    disk::DiskStore,
    event::{EventId, EventTypeName, NewEvent, StreamName, Tag},
    store::{AppendError, Expected, Written},
};
use serde::Serialize;

use crate::{
    appender::{Appender, is_final},
    exit::Exit,
    incoming,
    lines::{Line, Lines},
    message, open,
    output::Output,
    units,
};

#[derive(clap::Args)]
#[command(after_help = "\
Without --type, each line of standard input is an event: {\"type\":\"OrderPlaced\",\"data\":{…}}, if you like with `id`,
`time`, `tags` and every other attribute of a CloudEvent, or a whole CloudEvent.

Each event is answered with one line {\"id\",\"stream\",\"version\",\"position\"} as soon as it is durable. A line that is
refused does not keep the others from being appended; the exit code is then 1. After a conflict (3) nothing more is
appended. Repeating events with the same ids is safe: they are answered as the first time.")]
pub(crate) struct Args {
    /// The stream, such as `order-17`.
    #[arg(value_parser = input::stream)]
    stream: StreamName,
    /// Append one event of this type.
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<EventTypeName>,
    /// Its payload in JSON; `{}` unless given.
    #[arg(long, value_name = "JSON", requires = "event_type", value_parser = input::json)]
    payload: Option<String>,
    /// Its id, so that repeating the command appends nothing new: a UUID or any text.
    #[arg(long, requires = "event_type", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: Option<String>,
    /// A tag `key:value` for every event; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// Where the stream must be: `any`, `none` (never written), `exists`, or its version before the first event.
    #[arg(long, value_name = "VERSION", default_value = "any", value_parser = input::expected)]
    expected: Expected,
}

/// What a caller gets for each event.
#[derive(Serialize)]
struct Receipt<'a> {
    id: EventId,
    stream: &'a str,
    version: u64,
    position: u64,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let single = args.event_type.as_ref().map(|event_type| single(event_type, &args)).transpose()?;
    let store = open::for_writing(directory)?;
    let mut run = Run {
        appender: Appender::expecting(&store, args.stream.clone(), args.expected),
        output,
        unread: false,
        appended: 0,
        refused: 0,
    };
    let ended = match single {
        Some(event) => run.append(vec![(None, event)]).await,
        None => run.lines(&args).await,
    };
    let (appended, refused) = (run.appended, run.refused);
    close(&store)?;
    ended?;
    if refused > 0 {
        let (appended, refused) = (units::count(appended, "event"), units::count(refused, "line"));
        return Err(anyhow!("{appended} appended, {refused} refused; see above"));
    }
    Ok(Exit::Done)
}

/// Ends writing, so that the next one need not look for the end of the log.
pub(crate) fn close(store: &DiskStore) -> anyhow::Result<()> {
    store.close().context("the store cannot be closed cleanly; what was acknowledged is safe")
}

/// The event of the command line.
fn single(event_type: &EventTypeName, args: &Args) -> anyhow::Result<NewEvent> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let id = args.id.as_deref().map(|id| format!(",\"id\":{}", text(id))).unwrap_or_default();
    let data = args.payload.as_deref().unwrap_or("{}");
    let line = format!("{{\"type\":{}{id},\"data\":{data}}}", text(event_type.as_str()));
    Ok(incoming::event(line.as_bytes(), &args.stream, &args.tags)?)
}

/// One command under way.
struct Run<'a> {
    appender: Appender<'a>,
    output: &'a mut Output,
    /// Whether nobody reads the receipts any more. The events are still appended: they are what was asked for.
    unread: bool,
    appended: u64,
    refused: u64,
}

impl Run<'_> {
    /// Appends what comes in on standard input. Reading it blocks, which is all that there is to do meanwhile.
    async fn lines(&mut self, args: &Args) -> anyhow::Result<()> {
        let stdin = io::stdin().lock();
        if stdin.is_terminal() {
            message::note("type one event a line, such as {\"type\":\"OrderPlaced\",\"data\":{}}; end with Ctrl-D");
        }
        let mut lines = Lines::new(stdin);
        loop {
            let group = lines.group().context("standard input cannot be read")?;
            if group.is_empty() {
                return Ok(());
            }
            let events = group.into_iter().filter_map(|line| self.parse(line, args)).collect();
            self.append(events).await?;
        }
    }

    fn parse(&mut self, line: Line, args: &Args) -> Option<(Option<u64>, NewEvent)> {
        let text = line.text.map_err(anyhow::Error::new);
        let event = text.and_then(|text| Ok(incoming::event(&text, &args.stream, &args.tags)?));
        match event {
            Ok(event) => Some((Some(line.number), event)),
            Err(error) => {
                self.refuse(Some(line.number), error);
                None
            }
        }
    }

    /// Appends events with the numbers of their lines, and answers for them.
    async fn append(&mut self, group: Vec<(Option<u64>, NewEvent)>) -> anyhow::Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let (numbers, events): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let answers = self.appender.append(&events).await;
        let mut failure = None;
        for (index, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(written) => self.receipt(&events[index], written)?,
                Err(error) if is_final(&error) || numbers[index].is_none() => {
                    if matches!(error, AppendError::Unknown(_)) {
                        message::note(
                            "what has no `id` cannot be repeated safely: look at the end of the stream first",
                        );
                    }
                    failure = Some(explained(error, &numbers[index..]));
                }
                Err(error) => self.refuse(numbers[index], error.into()),
            }
        }
        if !self.unread {
            let flushed = self.output.flush();
            self.unless_unread(flushed)?;
        }
        failure.map_or(Ok(()), Err)
    }

    fn receipt(&mut self, event: &NewEvent, written: Written) -> anyhow::Result<()> {
        self.appended += 1;
        if self.unread {
            return Ok(());
        }
        let Written { version, position } = written;
        let stream = event.stream.as_str();
        let receipt = Receipt { id: event.id, stream, version: version.0, position: position.0 };
        let written = self.output.json(&receipt);
        self.unless_unread(written)
    }

    fn unless_unread(&mut self, written: Result<(), crate::output::OutputError>) -> anyhow::Result<()> {
        match written {
            Err(error) if error.is_closed() => self.unread = true,
            written => written?,
        }
        Ok(())
    }

    fn refuse(&mut self, line: Option<u64>, error: anyhow::Error) {
        self.refused += 1;
        message::error(&in_line(error, line));
    }
}

/// The error after which nothing more is appended, with the lines it is about.
fn explained(error: AppendError, lines: &[Option<u64>]) -> anyhow::Error {
    let first = lines.first().copied().flatten();
    let last = lines.last().copied().flatten();
    let unknown = matches!(error, AppendError::Unknown(_));
    match (unknown, first, last) {
        (true, Some(first), Some(last)) if first != last => {
            anyhow::Error::new(error).context(format!("lines {first} to {last}"))
        }
        _ => in_line(error.into(), first),
    }
}

/// The error with the number of the line it is about.
pub(crate) fn in_line(error: anyhow::Error, line: Option<u64>) -> anyhow::Error {
    match line {
        Some(line) => error.context(format!("line {line}")),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_written_is_told_with_all_its_lines() {
        let unknown = || AppendError::Unknown("a sync failed".into());
        let check = |error: AppendError, lines: &[Option<u64>], expected: &str| {
            assert_eq!(format!("{:#}", explained(error, lines)), expected);
        };
        let what = "may have been written; repeat the identical append to find out: a sync failed";
        check(unknown(), &[Some(3), Some(5)], &format!("lines 3 to 5: {what}"));
        check(unknown(), &[Some(3)], &format!("line 3: {what}"));
        check(unknown(), &[None], what);
        check(AppendError::Failed("no room".into()), &[Some(3), Some(5)], "line 3: not written: no room");
    }
}
