//! Servers that a driver starts for itself and ends with itself.

use std::{
    env,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;

/// A program that is not there.
#[derive(Debug)]
pub struct Missing(pub &'static str);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is not installed; `peers/install` gets it", self.0)
    }
}

impl std::error::Error for Missing {}

/// A server process, ended when this is dropped.
pub struct Server(Child);

impl Server {
    /// Starts `command`, its output thrown away.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("cannot start {}", command.get_program().display()))?))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; what it wrote is thrown away with its directory.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `peers/install` put beside the drivers under this name, or else the program of that name.
pub fn find(name: &'static str) -> Result<PathBuf, Missing> {
    let beside = env::current_exe().ok().and_then(|path| Some(path.parent()?.parent()?.join("servers").join(name)));
    let on_path = env::var_os("PATH").map(|path| env::split_paths(&path).map(|dir| dir.join(name)).collect::<Vec<_>>());
    beside.into_iter().chain(on_path.into_iter().flatten()).find(|path| path.exists()).ok_or(Missing(name))
}

/// A port of this machine that nobody listens at now.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// How long a server may take to answer its first request.
const START: Duration = Duration::from_secs(60);

/// Asks until the server answers.
pub async fn ready<T>(ask: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if begun.elapsed() > START => return Err(error.context("the server does not answer")),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
