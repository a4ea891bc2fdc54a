//! `cargo xtask engines`: real brokers for tests, found or provisioned, started on loopback and stopped by process id.

mod engine;
mod kafka;
mod loan;
mod machine;
mod port;
mod rabbitmq;
mod record;

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use clap::Subcommand;

use crate::{cargo, process::Process};
pub(crate) use engine::Engine;
pub(crate) use loan::{borrow, keep};
use record::{Place, Record};

/// How long a server may take until it answers; the slowest takes ten seconds on an idle machine.
const START: Duration = Duration::from_secs(120);

/// How long an engine may take to close what it has open before it is killed.
const STOP: Duration = Duration::from_secs(30);

/// Between two looks at something that takes its time.
const LOOK: Duration = Duration::from_millis(50);

/// What to do with which engines.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start engines, after installing what is missing, and wait until they answer.
    Up(Names),
    /// Say which of them run.
    Status(Names),
    /// Stop what `up` has started. What they stored stays in `target/engines`.
    Down(Names),
}

/// Some engines, or all.
#[derive(clap::Args)]
struct Names {
    /// `rabbitmq`, `rabbitmq4` or `kafka`; all of them when none is named.
    #[arg(value_name = "NAME")]
    names: Vec<Engine>,
}

/// What a command starts, in this order; the server itself comes last.
struct Launch {
    programs: Vec<(&'static str, Command)>,
    address: SocketAddr,
}

/// An engine that answers.
struct Running {
    record: Record,
    /// Whether it was started just now, because it did not run before.
    started: bool,
}

/// Does it; `true` when it succeeded for every engine. One that fails does not keep the others from being tried.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = directory()?;
    let (names, act): (_, fn(Engine, &Path) -> Result<String>) = match &args.action {
        Action::Up(names) => (names, |engine, root| up(engine, root).map(|up| describe(engine, "up", &up.record))),
        Action::Status(names) => (names, status),
        Action::Down(names) => (names, down),
    };
    let mut green = true;
    for engine in chosen(&names.names) {
        match act(engine, &root) {
            Ok(line) => println!("{line}"),
            Err(error) => {
                green = false;
                println!("error: {engine}: {error:#}");
            }
        }
    }
    Ok(green)
}

/// Those that were named, each once, or all.
pub(crate) fn chosen(named: &[Engine]) -> Vec<Engine> {
    Engine::ALL.into_iter().filter(|engine| named.is_empty() || named.contains(engine)).collect()
}

/// Where all engines keep what is theirs.
fn directory() -> Result<PathBuf> {
    Ok(cargo::metadata()?.target_directory.join("engines"))
}

fn up(engine: Engine, root: &Path) -> Result<Running> {
    let place = Place::new(root, engine);
    let _alone = alone(&place)?;
    if let Some(record) = place.load()? {
        if record.server_runs()? {
            let record = wait(engine, &place, record).with_context(|| {
                format!("it runs but does not answer; `cargo xtask engines down {engine}` stops it")
            })?;
            return Ok(Running { record, started: false });
        }
        stop(&place, record)?;
    }
    let launch = engine.prepare(&place)?;
    let record = start(&place, launch)?;
    // What does not become ready must not stay behind.
    match wait(engine, &place, record.clone()) {
        Ok(record) => Ok(Running { record, started: true }),
        Err(error) => {
            stop(&place, record)?;
            Err(error)
        }
    }
}

fn status(engine: Engine, root: &Path) -> Result<String> {
    let place = Place::new(root, engine);
    let Some(record) = place.load()? else { return Ok(format!("{engine:<10} down")) };
    Ok(match (record.server_runs()?, engine.ask(record.address, &place.log("server"))) {
        (false, _) => format!("{engine:<10} dead    it ended by itself; see {}", place.log("server").display()),
        (true, Ok(version)) => describe(engine, "up", &Record { version: Some(version), ..record }),
        (true, Err(error)) => format!("{}: {error:#}", describe(engine, "silent", &record)),
    })
}

fn down(engine: Engine, root: &Path) -> Result<String> {
    let place = Place::new(root, engine);
    let _alone = alone(&place)?;
    if let Some(record) = place.load()? {
        stop(&place, record)?;
    }
    Ok(format!("{engine:<10} down"))
}

/// Holds back other calls that would start or stop the same engine.
fn alone(place: &Place) -> Result<File> {
    let path = place.path("lock");
    fs::create_dir_all(place.dir()).with_context(|| format!("cannot create {}", place.dir().display()))?;
    let lock = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(lock)
}

/// Starts the programs and records each at once, so that `down` finds it whatever happens next.
fn start(place: &Place, launch: Launch) -> Result<Record> {
    let mut record = Record { version: None, address: launch.address, processes: Vec::new() };
    for (what, mut command) in launch.programs {
        let log =
            File::create(place.log(what)).with_context(|| format!("cannot create {}", place.log(what).display()))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A group of its own: an interrupt at the terminal is meant for us.
        let child = std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn();
        let child = child.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        record.processes.push(Process::running(child.id())?.context("what was just started is gone")?);
        place.save(&record)?;
    }
    Ok(record)
}

/// Waits until the server answers, and records its version.
fn wait(engine: Engine, place: &Place, mut record: Record) -> Result<Record> {
    let (begun, log) = (Instant::now(), place.log("server"));
    loop {
        match engine.ask(record.address, &log) {
            Ok(version) => {
                engine.check(&version)?;
                record.version = Some(version);
                place.save(&record)?;
                return Ok(record);
            }
            Err(_) if !record.server_runs()? => {
                bail!("it ended before it was ready; its log ends with\n{}", tail(&log))
            }
            Err(error) if begun.elapsed() > START => {
                return Err(error.context(format!("not ready after {} s; see {}", START.as_secs(), log.display())));
            }
            Err(_) => thread::sleep(LOOK),
        }
    }
}

/// Stops the processes of a record and their descendants, the server first, and forgets them.
fn stop(place: &Place, record: Record) -> Result<()> {
    for leader in record.processes.iter().rev() {
        let family = leader.family()?;
        leader.terminate()?;
        let begun = Instant::now();
        // What the leader leaves behind gets as long as the leader itself.
        while running(&family)? && begun.elapsed() < STOP {
            if !leader.is_running()? {
                family.iter().try_for_each(Process::terminate)?;
            }
            thread::sleep(LOOK);
        }
        family.iter().try_for_each(Process::kill)?;
        while running(&family)? {
            if begun.elapsed() > 2 * STOP {
                return Err(anyhow!("process {} or a child of it does not end; end it yourself", leader.id));
            }
            thread::sleep(LOOK);
        }
    }
    place.forget()
}

fn running(family: &[Process]) -> Result<bool> {
    family.iter().map(Process::is_running).try_fold(false, |any, one| Ok(any | one?))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let text = text.unwrap_or_else(|error| format!("{} cannot be read: {error}", log.display()));
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn describe(engine: Engine, state: &str, record: &Record) -> String {
    let version = record.version.as_deref().unwrap_or("?");
    let id = record.processes.last().map_or(0, |server| server.id);
    format!("{engine:<10} {state:<7} {version:<8} {:<21} pid {id}", record.address)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[track_caller]
    fn check(line: &str, expected: &[Engine]) {
        let (Action::Up(names) | Action::Status(names) | Action::Down(names)) =
            Line::parse_from(line.split(' ')).args.action;
        assert_eq!(chosen(&names.names), expected);
    }

    #[test]
    fn engines_are_chosen_by_name_and_each_once() {
        check("engines up", &Engine::ALL);
        check("engines status kafka", &[Engine::Kafka]);
        check("engines down kafka rabbitmq kafka", &[Engine::Rabbitmq, Engine::Kafka]);
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = Line::try_parse_from(["engines", "up", "redis"]).err().unwrap().to_string();
        assert!(error.contains("there is no engine `redis`; there are rabbitmq, rabbitmq4, kafka"), "{error}");
    }

    #[test]
    fn a_line_says_what_runs_where() {
        let mut record = Record { version: None, address: ([127, 0, 0, 1], 9092).into(), processes: Vec::new() };
        assert_eq!(
            describe(Engine::Kafka, "silent", &record),
            "kafka      silent  ?        127.0.0.1:9092        pid 0"
        );
        record.version = Some("4.1.0".to_owned());
        record.processes.push(Process::running(std::process::id()).unwrap().unwrap());
        let expected = format!("kafka      up      4.1.0    127.0.0.1:9092        pid {}", std::process::id());
        assert_eq!(describe(Engine::Kafka, "up", &record), expected);
    }

    #[test]
    fn what_is_not_there_is_down_and_what_has_ended_is_dead() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(status(Engine::Kafka, root.path()).unwrap(), "kafka      down");
        assert_eq!(down(Engine::Kafka, root.path()).unwrap(), "kafka      down");

        let place = Place::new(root.path(), Engine::Kafka);
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let process = Process::running(child.id()).unwrap().unwrap();
        let record = Record { version: None, address: ([127, 0, 0, 1], 1).into(), processes: vec![process] };
        place.save(&record).unwrap();
        let silent = status(Engine::Kafka, root.path()).unwrap();
        assert!(silent.starts_with("kafka      silent"), "{silent}");
        child.kill().unwrap();
        child.wait().unwrap();
        let dead = status(Engine::Kafka, root.path()).unwrap();
        assert!(dead.starts_with("kafka      dead    it ended by itself"), "{dead}");
    }

    #[test]
    fn down_ends_what_was_started_with_its_children_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path(), Engine::Kafka);
        fs::create_dir_all(place.dir()).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 600 & wait"]);
        let launch = Launch { programs: vec![("server", shell)], address: ([127, 0, 0, 1], 1).into() };
        let record = start(&place, launch).unwrap();
        let begun = Instant::now();
        let family = loop {
            let family = record.processes[0].family().unwrap();
            if family.len() == 2 {
                break family;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "the shell has no child");
            thread::yield_now();
        };
        // The same process id, and another process: nothing may happen to it.
        let mut other = Command::new("sleep").arg("600").spawn().unwrap();
        let stranger = Process { started: 1, ..Process::running(other.id()).unwrap().unwrap() };
        let record = Record { processes: vec![stranger, record.processes[0].clone()], ..record };
        place.save(&record).unwrap();

        down(Engine::Kafka, root.path()).unwrap();
        assert!(!running(&family).unwrap());
        assert!(other.try_wait().unwrap().is_none(), "a process of somebody else was ended");
        assert!(place.load().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
