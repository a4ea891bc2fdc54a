//! Real processes on a real directory: the lock, a reader beside a writer, and a disk that takes no more.

use std::{
    env,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::StreamExt;
use mainspring_conformance::Seed;
use mainspring_event::NewEvent;
use mainspring_store::{Append, AppendError, EventStore, Query, Read};
use mainspring_store_disk::{DiskStore, OpenError, Options};
use tokio::{runtime::Runtime, time::timeout};

use crate::kit::{all, event};

/// Tells a process that it is the other one, and which directory it is about.
const DIRECTORY: &str = "MAINSPRING_TEST_STORE";

const SEGMENT: u64 = 16 << 10;

/// The directory, if this is the other process.
pub(crate) fn other_process() -> Option<std::ffi::OsString> {
    env::var_os(DIRECTORY)
}

/// Runs the test of this name as another process, with `directory` to work in.
pub(crate) fn spawn(test: &str, directory: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    start(&mut command, test, directory)
}

fn start(command: &mut Command, test: &str, directory: &Path) -> Child {
    let command = command.args(["--exact", test, "--nocapture"]).env(DIRECTORY, directory);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Writes a whole line at once, past the test harness.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("say {line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

/// What a process says, line by line, without what the test harness adds. A line that was cut off is left out.
pub(crate) fn heard(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let lines = std::iter::from_fn(move || {
        let mut line = String::new();
        let read = output.read_line(&mut line).unwrap();
        (read > 0).then_some(line)
    });
    lines.filter_map(|line| {
        let (_, said) = line.split_once("say ")?;
        Some(said.strip_suffix('\n')?.to_owned())
    })
}

pub(crate) fn open(directory: impl AsRef<Path>) -> Result<DiskStore, OpenError> {
    Options::default().segment_bytes(SEGMENT).open(directory)
}

fn fresh_event(payload: usize) -> NewEvent {
    let mut seed = Seed::new(u64::from(std::process::id()));
    NewEvent { id: mainspring_event::EventId::new(), ..event(&mut seed, "a-1", payload) }
}

/// Appends for ever, and says so each time.
fn append_for_ever(directory: &Path) {
    let store = open(directory).unwrap();
    Runtime::new().unwrap().block_on(async {
        loop {
            let appended = store.append(Append::new([fresh_event(200)])).await.unwrap();
            say(&appended.position.0.to_string());
        }
    });
}

#[test]
fn one_process_writes_and_another_is_told_which() {
    if let Some(directory) = other_process() {
        return append_for_ever(directory.as_ref());
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = spawn("processes::one_process_writes_and_another_is_told_which", directory.path());
    let mut lines = heard(&mut child);
    assert!(lines.next().is_some());
    let refused = open(directory.path()).err().expect("it is in use");
    child.kill().unwrap();
    child.wait().unwrap();
    let expected = format!("in use by process {}", child.id());
    assert!(matches!(&refused, OpenError::Locked { .. }) && refused.to_string().contains(&expected), "{refused}");
    assert!(open(directory.path()).is_ok(), "the lock dies with its process");
}

#[test]
fn a_reader_follows_another_process_until_it_is_killed() {
    if let Some(directory) = other_process() {
        return append_for_ever(directory.as_ref());
    }
    let directory = tempfile::tempdir().unwrap();
    let mut child = spawn("processes::a_reader_follows_another_process_until_it_is_killed", directory.path());
    let mut lines = heard(&mut child);
    assert!(lines.next().is_some());
    let reader = DiskStore::open_read_only(directory.path()).unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut batches = reader.read(Read::new(Query::All).follow());
        let mut last = 0;
        while last < 500 {
            let batch = timeout(Duration::from_secs(60), batches.next()).await.expect("the other process appends");
            for event in batch.unwrap().unwrap().iter() {
                assert_eq!(event.position.0, last + 1);
                last += 1;
            }
        }
    });
    let refused = runtime.block_on(reader.append(Append::new([fresh_event(1)])));
    assert!(matches!(refused, Err(AppendError::Failed(_))), "{refused:?}");
    child.kill().unwrap();
    child.wait().unwrap();
    let acknowledged = lines.last().and_then(|line| line.parse::<u64>().ok()).unwrap();
    let late = DiskStore::open_read_only(directory.path()).unwrap();
    let seen = runtime.block_on(all(&late));
    assert!(seen.len() as u64 >= acknowledged.max(500), "{} of {acknowledged}", seen.len());
    assert!(seen.iter().map(|event| event.position.0).eq(1..=seen.len() as u64));
    assert!(directory.path().join("00000003.log").exists(), "the log went on in other segments");
}

/// In a process whose files may not grow beyond 64 KiB.
fn fill_up(directory: &Path) {
    let store = Options::default().segment_bytes(1 << 20).open(directory).unwrap();
    Runtime::new().unwrap().block_on(async {
        let mut acknowledged = 0_u64;
        let error = loop {
            match store.append(Append::new([fresh_event(5_000)])).await {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, AppendError::Failed(_)), "{error:?}");
        assert_eq!(all(&store).await.len() as u64, acknowledged, "what failed is not there");
        store.append(Append::new([fresh_event(100)])).await.expect("something small still fits");
        assert_eq!(all(&store).await.len() as u64, acknowledged + 1);
        say(&acknowledged.to_string());
    });
}

#[test]
fn a_file_that_takes_no_more_loses_nothing() {
    if let Some(directory) = other_process() {
        return fill_up(directory.as_ref());
    }
    let directory = tempfile::tempdir().unwrap();
    // The limit counts blocks of 512 bytes. Without the signal, the write fails as on a full disk.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\""]).arg(env::current_exe().unwrap());
    let mut child = start(&mut command, "processes::a_file_that_takes_no_more_loses_nothing", directory.path());
    let acknowledged = heard(&mut child).last().and_then(|line| line.parse::<usize>().ok());
    assert!(child.wait().unwrap().success(), "the other process found what it should not");
    let acknowledged = acknowledged.expect("the other process says how far it came");
    assert!((5..=13).contains(&acknowledged), "{acknowledged} events of 5,000 bytes went into 64 KiB");
    let store = open(directory.path()).unwrap();
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.block_on(all(&store)).len(), acknowledged + 1);
    runtime.block_on(store.append(Append::new([fresh_event(5_000)]))).expect("there is room again");
}
