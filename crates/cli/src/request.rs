//! Asking by message from a terminal: one request, and the answer of whoever handles it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use mainspring::messaging::{PublishError, Publisher, RequestError, Requester};
use mainspring_broker::{Broker, Destination, Message};

use crate::{
    broker::{
        self, Missing, expect_topic,
        line::{MessageLine, shown_body},
        unsent, words,
    },
    exit::Exit,
    output::Output,
    units,
};

/// The service in whose name a terminal asks.
const SERVICE: &str = "mainspring-cli";

/// Answers to terminals go to so many groups at most, which stay: a name for each process would leave one each.
const TERMINALS: u32 = 64;

#[derive(clap::Args)]
#[command(after_help = "\
The body of the answer is printed as it is; with --json, one line with everything that came.

A handler that takes an event reads a body without an envelope as JSON, if it takes exactly one type of event. Without an
answer in time the exit code is 1: the request may have been handled, or may be handled later.")]
pub(crate) struct Args {
    /// The topic.
    topic: Destination,
    /// The body of the request.
    body: String,
    /// The key, by which messages stay in order.
    #[arg(long)]
    key: Option<String>,
    /// A header; may be repeated.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = words::header)]
    headers: Vec<(String, Bytes)>,
    /// The words, parted by dots, by which groups select messages.
    #[arg(long, value_name = "WORDS")]
    routing_key: Option<String>,
    /// How long to wait for the answer, such as 500ms.
    #[arg(long, value_name = "TIME", value_parser = units::duration, default_value = "10s")]
    within: Duration,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let within = args.within;
    let answer = broker::with(directory, Missing::Refuse, async |broker| {
        expect_topic(&*broker, &args.topic).await?;
        ask(broker, args).await
    });
    let answer = match answer.await? {
        Ok(answer) => answer,
        Err(RequestError::Unknown { .. }) => {
            let shown = units::span(within);
            return Err(anyhow!(
                "no answer within {shown}: the request may have been handled, or may be handled later"
            ));
        }
        Err(RequestError::Publish(PublishError::Send(error))) => return Err(unsent(error)),
        Err(error) => return Err(error.into()),
    };
    if output.is_json() {
        output.json(&MessageLine::of(&answer))?;
    } else {
        output.line(&shown_body(&answer))?;
    }
    Ok(Exit::Done)
}

/// Asks and waits.
async fn ask(broker: Arc<dyn Broker>, args: Args) -> anyhow::Result<Result<Message, RequestError>> {
    let Args { topic, body, key, headers, routing_key, within } = args;
    let mut message = Message::new(topic, body);
    message.key = key.map(Bytes::from);
    message.headers = headers.into_iter().collect();
    message.routing_key = routing_key.unwrap_or_default();
    let instance = format!("terminal-{}", std::process::id() % TERMINALS);
    let connected = Requester::connect_as(&Publisher::new(broker), SERVICE, &instance).await;
    let (requester, replies) = connected.context("there can be no place for the answer")?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let replies = tokio::spawn(replies.run(async {
        // It stops also when nobody says so any more.
        let _ = stopped.await;
    }));
    let answer = requester.ask(message, within).await;
    drop(stop);
    replies.await?.context("answers cannot be received")?;
    Ok(answer.map(|answer| answer.message.clone()))
}
