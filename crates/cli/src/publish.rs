//! Sending to a topic: a message from the command line, or one a line from standard input.

use std::{
    io::{self, IsTerminal as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use mainspring_broker::{Broker, Destination, Message};

use crate::{
    broker::{self, Missing, expect_topic, explained, line::ReceiptLine, unsent, words},
    exit::Exit,
    lines::Lines,
    message,
    output::Output,
    units,
};

#[derive(clap::Args)]
#[command(after_help = "\
Without BODY, each line of standard input is a message, as it is.

Each message is answered with one line {\"place\",\"topic\",\"partition\",\"offset\",\"duplicate\"} as soon as it is durable;
`place` is null while a message is not due. A message that is refused does not keep the others from being sent, except
those of its key; the exit code is then 1.")]
pub(crate) struct Args {
    /// The topic.
    topic: Destination,
    /// Send one message with this body.
    body: Option<String>,
    /// The key, by which messages stay in order.
    #[arg(long)]
    key: Option<String>,
    /// A header; may be repeated.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = words::header)]
    headers: Vec<(String, Bytes)>,
    /// The words, parted by dots, by which groups select messages.
    #[arg(long, value_name = "WORDS")]
    routing_key: Option<String>,
    /// A higher one goes first.
    #[arg(long, value_name = "0-9", default_value_t = 0)]
    priority: u8,
    /// Deliver it not before so much time has passed, such as 30s.
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    delay: Option<Duration>,
    /// Let it expire after so much time, such as 1h.
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    expires_after: Option<Duration>,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let work = async |broker: std::sync::Arc<dyn Broker>| {
        expect_topic(&*broker, &args.topic).await?;
        let mut run = Run { broker: &*broker, output, sent: 0, refused: 0 };
        match &args.body {
            Some(body) => run.send(vec![(None, message(&args, body.clone()))]).await?,
            None => run.lines(&args).await?,
        }
        Ok((run.sent, run.refused))
    };
    let (sent, refused) = broker::with(directory, Missing::Refuse, work).await?;
    if refused > 0 {
        let (sent, refused) = (units::count(sent, "message"), units::number(refused));
        return Err(anyhow!("{sent} sent, {refused} refused; see above"));
    }
    Ok(Exit::Done)
}

fn message(args: &Args, body: impl Into<Bytes>) -> Message {
    let mut message = Message::new(args.topic.clone(), body);
    message.key = args.key.clone().map(Bytes::from);
    message.headers = args.headers.iter().cloned().collect();
    message.routing_key = args.routing_key.clone().unwrap_or_default();
    message.priority = args.priority;
    (message.delay, message.expires_after) = (args.delay, args.expires_after);
    message
}

/// One command under way.
struct Run<'a> {
    broker: &'a dyn Broker,
    output: &'a mut Output,
    sent: u64,
    refused: u64,
}

impl Run<'_> {
    /// Sends what comes in on standard input.
    async fn lines(&mut self, args: &Args) -> anyhow::Result<()> {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            message::note("type one message a line; end with Ctrl-D");
        }
        let mut lines = Some(Lines::new(stdin));
        while let Some(mut reading) = lines.take() {
            // Reading blocks, and the broker has work to do meanwhile.
            let read = tokio::task::spawn_blocking(move || (reading.group(), reading)).await?;
            let group = read.0.context("standard input cannot be read")?;
            if group.is_empty() {
                return Ok(());
            }
            lines = Some(read.1);
            let mut batch = Vec::new();
            for line in group {
                match line.text {
                    Ok(text) => batch.push((Some(line.number), message(args, text))),
                    Err(error) => self.refuse(Some(line.number), error.into()),
                }
            }
            self.send(batch).await?;
        }
        Ok(())
    }

    /// Sends messages, each with the number of its line, in as many batches as it takes, and answers each.
    async fn send(&mut self, messages: Vec<(Option<u64>, Message)>) -> anyhow::Result<()> {
        let Some((_, first)) = messages.first() else { return Ok(()) };
        let limits = self.broker.capabilities(&first.destination).await.map_err(explained)?.limits;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for (line, message) in messages {
            if let Err(error) = limits.check(std::slice::from_ref(&message)) {
                self.refuse(line, unsent(error));
                continue;
            }
            if bytes + message.size() > limits.batch_bytes || batch.len() >= limits.batch_messages {
                self.send_batch(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            bytes += message.size();
            batch.push((line, message));
        }
        self.send_batch(batch).await
    }

    async fn send_batch(&mut self, batch: Vec<(Option<u64>, Message)>) -> anyhow::Result<()> {
        let (lines, messages): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let confirmations = self.broker.send(messages).await.map_err(unsent)?;
        for (line, answer) in lines.into_iter().zip(confirmations.await) {
            match answer {
                Ok(receipt) => {
                    self.sent += 1;
                    self.output.json(&ReceiptLine::of(&receipt))?;
                }
                Err(error) => self.refuse(line, unsent(error)),
            }
        }
        self.output.flush()?;
        Ok(())
    }

    fn refuse(&mut self, line: Option<u64>, error: anyhow::Error) {
        self.refused += 1;
        message::error(&match line {
            Some(line) => error.context(format!("line {line}")),
            None => error,
        });
    }
}
