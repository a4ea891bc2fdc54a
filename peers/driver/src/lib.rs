//! How a peer is measured: the driver of a peer is a child process of the benchmark. It greets with one line of JSON, then
//! answers every line of JSON on its standard input (a slice to run) with one line on its standard output (what came of
//! it), and ends when its input ends.

mod event;
mod server;
mod slice;

use std::{
    future::Future,
    io::{BufRead, Write},
    path::PathBuf,
};

pub use event::Event;
use serde::Serialize;
pub use server::{Missing, Server, find, free_port, ready};
use slice::{Clients, Order};

/// A store that events are appended to.
pub trait Peer: Send + Sync + 'static {
    /// What is said about it.
    fn about(&self) -> About;

    /// An append in the words of the peer; made before a slice, so that making it is not measured.
    type Append: Send + 'static;

    /// Puts events into the words of the peer. All of them are to become durable in one append.
    fn prepare(&self, events: Vec<Event>) -> anyhow::Result<Self::Append>;

    /// Appends them and comes back when they are synced.
    fn append(&self, append: Self::Append) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What is said about a peer beside its figures.
#[derive(Serialize)]
pub struct About {
    /// Its name and version.
    pub name: String,
    /// What it does before it acknowledges.
    pub durability: &'static str,
    /// Whether it gives every event a version in its stream and refuses a wrong one.
    pub stream_versions: bool,
    /// What a reader of the figures has to know.
    pub note: &'static str,
    /// The processes that write: the server's, or none where the driver does.
    pub servers: Vec<u32>,
}

/// Runs the driver of one peer: `open` starts it on the directory that is the first argument.
pub fn run<P, F>(open: impl FnOnce(PathBuf) -> F) -> anyhow::Result<()>
where
    P: Peer,
    F: Future<Output = anyhow::Result<P>>,
{
    let directory = std::env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| anyhow::anyhow!("say in which directory the peer may write"))?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let peer = match open(directory).await {
            Ok(peer) => std::sync::Arc::new(peer),
            Err(error) => return say(&serde_json::json!({ "error": format!("{error:#}") })),
        };
        say(&peer.about())?;
        let mut clients = Clients::default();
        for line in std::io::stdin().lock().lines() {
            let order: Order = serde_json::from_str(&line?)?;
            match clients.run(&peer, order).await {
                Ok(outcome) => say(&outcome)?,
                Err(error) => say(&serde_json::json!({ "error": format!("{error:#}") }))?,
            }
        }
        Ok(())
    })
}

fn say(message: &impl Serialize) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(message)?)?;
    Ok(out.flush()?)
}
