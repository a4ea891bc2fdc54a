//! Other processes: started as one test of this binary, heard line by line, and killed.

use std::{
    env, fs,
    io::{BufRead, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Tells a process that it is the other one, and which directory it is about.
const DIRECTORY: &str = "MAINSPRING_TEST_MESSAGES";

/// Longer than anything that a process is asked for takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// The directory, if this is the other process.
pub(crate) fn other_process() -> Option<PathBuf> {
    env::var_os(DIRECTORY).map(PathBuf::from)
}

/// Says a whole line at once, past the test harness.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("say {line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

/// Memory of this process's own in bytes, without the pages of mapped files.
pub(crate) fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1_024
}

/// Another process and what it says.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
    listener: JoinHandle<()>,
}

impl Process {
    /// Runs the test of this name as another process, with `directory` to work in.
    pub(crate) fn start(test: &str, directory: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).env(DIRECTORY, directory);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (said, lines) = mpsc::channel();
        let listener = thread::spawn(move || {
            for line in output.lines() {
                let line = line.unwrap();
                // What the test harness adds is left out. Nobody needs to hear the end.
                if let Some((_, line)) = line.split_once("say ") {
                    let _ = said.send(line.to_owned());
                }
            }
        });
        Self { child, lines, listener }
    }

    /// The next line, if it says one until then; nothing when it has ended, too.
    pub(crate) fn line_until(&self, end: Instant) -> Option<String> {
        self.lines.recv_timeout(end.saturating_duration_since(Instant::now())).ok()
    }

    /// What it says next, or nothing when it has ended.
    pub(crate) fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the other process says nothing"),
        }
    }

    /// Waits until it says this.
    pub(crate) fn until(&self, expected: &str) {
        while self.line().unwrap_or_else(|| panic!("the other process ended before `{expected}`")) != expected {}
    }

    /// Ends it by SIGKILL. What it had said and nobody heard.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.end().1
    }

    /// Waits until it ends by itself. Whether it did so well, and what it had said and nobody heard.
    pub(crate) fn end(mut self) -> (bool, Vec<String>) {
        let status = self.child.wait().unwrap();
        self.listener.join().unwrap();
        (status.success(), self.lines.iter().collect())
    }
}
