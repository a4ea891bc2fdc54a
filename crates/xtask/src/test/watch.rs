//! Runs a `cargo test` and shows what it prints as it comes. A test program that takes too long is ended and named.

use std::{
    io::{self, PipeReader, Read, Write},
    process::{Child, Command, ExitStatus},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::Tally;
use crate::process::Process;

/// No limit is this long.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is read at once.
const CHUNK: usize = 8 * 1024;

/// What was printed of the program that runs.
#[derive(Debug, Default)]
struct Progress {
    /// The end of the output, which may be the beginning of a line.
    rest: Vec<u8>,
    /// The program, and when it was started. None runs while things are compiled.
    program: Option<(String, Instant)>,
    /// The last of its tests that began, where tests run one at a time.
    test: Option<String>,
}

/// Runs it to its end. A test program that has not ended after `limit` is killed, and what cargo runs after it goes on.
pub(super) fn watch(command: Command, limit: Option<Duration>, tally: &mut Tally) -> Result<ExitStatus> {
    watch_for(command, limit, tally, &mut io::stdout())
}

fn watch_for(
    mut command: Command,
    limit: Option<Duration>,
    tally: &mut Tally,
    screen: &mut dyn Write,
) -> Result<ExitStatus> {
    let (reader, writer) = io::pipe()?;
    let mut child = command.stdout(writer.try_clone()?).stderr(writer).spawn().context("cannot start `cargo test`")?;
    // It holds the other end of the pipe, which would never end.
    drop(command);
    let (chunks, output) = sync_channel(1);
    let reading = thread::spawn(move || pass_on(reader, &chunks));
    let seen = follow(&output, &child, limit, tally, screen);
    // Whoever cannot follow any more does not read either, so that cargo and the thread end.
    drop(output);
    reading.join().expect("it does not panic")?;
    seen?;
    child.wait().context("cannot learn how `cargo test` ended")
}

/// Reads until nobody writes any more, or nobody listens.
fn pass_on(mut reader: PipeReader, chunks: &SyncSender<Vec<u8>>) -> io::Result<()> {
    loop {
        let mut chunk = vec![0; CHUNK];
        let length = reader.read(&mut chunk)?;
        chunk.truncate(length);
        if length == 0 || chunks.send(chunk).is_err() {
            return Ok(());
        }
    }
}

fn follow(
    output: &Receiver<Vec<u8>>,
    cargo: &Child,
    limit: Option<Duration>,
    tally: &mut Tally,
    screen: &mut dyn Write,
) -> Result<()> {
    let mut progress = Progress::default();
    loop {
        match output.recv_timeout(progress.remains(limit)) {
            Ok(chunk) => {
                screen.write_all(&chunk)?;
                screen.flush()?;
                progress.take(&chunk, tally);
            }
            Err(RecvTimeoutError::Timeout) => {
                writeln!(screen)?;
                let overdue = progress.overdue(limit.unwrap_or(NEVER), tally);
                tally.missing(&overdue);
                end_program(cargo)?;
            }
            Err(RecvTimeoutError::Disconnected) => {
                progress.break_line(tally);
                return Ok(());
            }
        }
    }
}

/// Kills what cargo has started, with all that it has started in turn, and not cargo itself.
fn end_program(cargo: &Child) -> Result<()> {
    let Some(cargo) = Process::running(cargo.id())? else { return Ok(()) };
    cargo.family()?.iter().filter(|process| **process != cargo).try_for_each(Process::kill)
}

impl Progress {
    /// How long the program may still take.
    fn remains(&self, limit: Option<Duration>) -> Duration {
        match (&self.program, limit) {
            (Some((_, begun)), Some(limit)) => limit.saturating_sub(begun.elapsed()),
            _ => NEVER,
        }
    }

    fn take(&mut self, chunk: &[u8], tally: &mut Tally) {
        self.rest.extend_from_slice(chunk);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<_> = self.rest.drain(..=end).collect();
            self.line(String::from_utf8_lossy(&line).trim_end(), tally);
        }
        // A test that runs has the beginning of a line, which ends when the test does.
        if let Some(test) = test_in(&String::from_utf8_lossy(&self.rest)) {
            self.test = Some(test);
        }
    }

    fn line(&mut self, line: &str, tally: &mut Tally) {
        if let Some(program) = line.strip_prefix("     Running ").or_else(|| line.strip_prefix("   Doc-tests ")) {
            self.program = Some((program.to_owned(), Instant::now()));
            self.test = None;
        } else if let Some(test) = test_in(line) {
            self.test = Some(test);
        }
        tally.line(line);
    }

    /// Whatever is printed next begins a line.
    fn break_line(&mut self, tally: &mut Tally) {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            self.line(String::from_utf8_lossy(&rest).trim_end(), tally);
        }
    }

    /// What to say of a program that is ended. It is given the same time again to be gone.
    fn overdue(&mut self, limit: Duration, tally: &mut Tally) -> String {
        self.break_line(tally);
        let (program, begun) = self.program.as_mut().expect("there is no limit where no program runs");
        *begun = Instant::now();
        let during = self.test.as_ref().map_or_else(String::new, |test| format!(" in the test `{test}`"));
        format!("{program} had not ended after {limit:?} and was killed{during}")
    }
}

/// The test of a line such as `test one ... ok`.
fn test_in(line: &str) -> Option<String> {
    Some(line.strip_prefix("test ")?.split_once(" ... ")?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a script of the shell for cargo, whose programs may take 200 ms.
    #[track_caller]
    fn check(script: &str, expected: &str) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut tally = Tally::default();
        let begun = Instant::now();
        // What these scripts say must not be counted by whoever counts this test.
        watch_for(command, Some(Duration::from_millis(200)), &mut tally, &mut io::sink()).unwrap();
        assert_eq!(tally.to_string(), expected);
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was killed");
    }

    #[test]
    fn a_program_that_hangs_is_killed_by_name_and_the_next_one_runs() {
        check(
            "echo '     Running tests/a.rs (a-1)'; printf 'test one ... ok\\ntest two ... '; sh -c 'sleep 600 & sleep 600'
             echo 'error: test failed, to rerun pass `-p a --test a`'
             echo '     Running tests/b.rs (b-1)'; echo 'test result: ok. 3 passed; 0 failed; 0 ignored'",
            "failed: tests/a.rs (a-1) had not ended after 200ms and was killed in the test `two`\n\
             3 passed, 1 failed, 0 skipped",
        );
    }

    #[test]
    fn a_program_may_hang_before_its_first_test() {
        check(
            "echo '     Running tests/a.rs (a-1)'; sleep 600",
            "failed: tests/a.rs (a-1) had not ended after 200ms and was killed\n\
             0 passed, 1 failed, 0 skipped",
        );
    }

    #[test]
    fn what_runs_before_the_programs_takes_its_time() {
        // Longer than the limit, and compiling is no test.
        check("sleep 0.5; echo 'test result: ok. 1 passed; 0 failed; 0 ignored'", "1 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn lines_are_put_together_and_the_last_needs_no_end() {
        check("printf 'test result: ok. 2 pas'; printf 'sed; 0 failed'", "2 passed, 0 failed, 0 skipped");
    }
}
