//! A directory to run the program in, and ways to look at what it does.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// Nothing here takes a second; a machine under load may.
const PATIENCE: Duration = Duration::from_secs(30);

/// The directory that the program runs in, so that its messages name no path of this machine.
pub(crate) struct Place {
    directory: TempDir,
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// A place with three events in two streams, at known times and with known ids.
    pub(crate) fn with_orders() -> Self {
        let place = Self::new();
        let placed = concat!(
            r#"{"type":"OrderPlaced","id":"00000000-0000-7000-8000-000000000001","time":"1997-01-01T00:00:00Z","#,
            r#""tags":["customer:7"],"data":{"units":2}}"#,
            "\n",
            r#"{"type":"OrderPaid","id":"00000000-0000-7000-8000-000000000002","time":"1997-01-02T09:30:00.5Z"}"#,
            "\n",
        );
        let cancelled = concat!(
            r#"{"type":"OrderCancelled","id":"00000000-0000-7000-8000-000000000003","time":"1997-01-03T00:00:00Z","#,
            r#""tags":["customer:7","why:late"],"data":{"why":"late"}}"#,
        );
        assert_eq!(place.run("append order-1", placed).code, Some(0));
        assert_eq!(place.run("append order-2", cancelled).code, Some(0));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program with `args`, which are words without spaces.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainspring"));
        command.current_dir(self.directory.path()).args(args.split_whitespace());
        command.env_remove("MAINSPRING_DATA").env_remove("NO_COLOR").env("TERM", "xterm");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &str, input: &str) -> Ran {
        let mut child = self.command(args).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = thread::spawn(move || {
            // A program that does not read all of it says so by its exit code.
            drop(stdin.write_all(input.as_bytes()));
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs the program and compares all that it says.
    #[track_caller]
    pub(crate) fn check(&self, args: &str, input: &str, code: i32, out: &str, err: &str) {
        let ran = self.run(args, input);
        let expected = Ran { code: Some(code), out: out.to_owned(), err: err.to_owned() };
        assert_eq!(ran, expected, "\n--- stdout ---\n{}--- stderr ---\n{}", ran.out, ran.err);
    }

    /// Runs the program while the test talks with it.
    pub(crate) fn talk(&self, args: &str) -> Talk {
        let mut child = self.command(args).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in out.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Talk { stdin: child.stdin.take(), lines, child }
    }
}

/// A program under way.
pub(crate) struct Talk {
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    pub(crate) child: Child,
}

impl Talk {
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(line.as_bytes()).and_then(|()| stdin.write_all(b"\n")).unwrap();
    }

    /// The next line that it prints.
    pub(crate) fn hear(&self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("the program printed nothing for {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the program printed nothing more"),
        }
    }

    pub(crate) fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    }

    /// Ends its input and waits for it; answers what it had still to say.
    pub(crate) fn end(mut self) -> Ran {
        drop(self.stdin.take());
        let code = wait(&mut self.child);
        let out: Vec<_> = self.lines.into_iter().map(|line| line + "\n").collect();
        let err = std::io::read_to_string(self.child.stderr.take().unwrap()).unwrap();
        Ran { code, out: out.concat(), err }
    }
}

/// Waits for a program to end; answers its exit code.
pub(crate) fn wait(child: &mut Child) -> Option<i32> {
    let pid = rustix::process::Pid::from_child(child);
    let (sender, ended) = channel();
    thread::scope(|scope| {
        scope.spawn(|| sender.send(child.wait().unwrap().code()));
        ended.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            panic!("the program did not end within {PATIENCE:?}")
        })
    })
}

/// The text without what differs from run to run: the values of these JSON members.
pub(crate) fn without(members: &[&str], text: &str) -> String {
    let mut text = text.to_owned();
    for member in members {
        let start = format!("\"{member}\":\"");
        let parts: Vec<_> = text.split(&start).collect();
        let rest = parts[1..].iter().map(|part| &part[part.find('"').unwrap()..]);
        let cleaned: Vec<_> = [parts[0]].into_iter().chain(rest).collect();
        text = cleaned.join(&format!("{start}…"));
    }
    text
}
