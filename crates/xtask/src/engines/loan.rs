//! Engines for the time of some work: who starts one for that either keeps it up or gives it back.

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use anyhow::{Context, Result};

use super::{
    Engine, Running, alone, directory,
    record::{Place, Record},
    stop, up,
};

/// Starts an engine unless it runs, and tells `work` where it listens and which version it is. It stays up afterwards.
pub(crate) fn keep<T>(engine: Engine, work: impl FnOnce(SocketAddr, &str) -> Result<T>) -> Result<T> {
    tell(&up(engine, &directory()?)?, work)
}

/// Starts an engine unless it runs, and tells `work` where it listens and which version it is. If it was started for this
/// it is stopped afterwards, also when the work fails or panics; if it was running before it goes on.
pub(crate) fn borrow<T>(engine: Engine, work: impl FnOnce(SocketAddr, &str) -> Result<T>) -> Result<T> {
    let root = directory()?;
    let running = up(engine, &root)?;
    lend(&Place::new(&root, engine), &running, work)
}

fn tell<T>(running: &Running, work: impl FnOnce(SocketAddr, &str) -> Result<T>) -> Result<T> {
    let version = running.record.version.as_deref().context("it is up, so it has said its version")?;
    work(running.record.address, version)
}

fn lend<T>(place: &Place, running: &Running, work: impl FnOnce(SocketAddr, &str) -> Result<T>) -> Result<T> {
    let done = catch_unwind(AssertUnwindSafe(|| tell(running, work)));
    let given_back = if running.started { give_back(place, &running.record) } else { Ok(()) };
    let given_back = given_back.context("it was started for this and cannot be stopped");
    if let (Ok(Ok(_)), Err(_)) = (&done, &given_back) {
        given_back?;
    } else if let Err(error) = given_back {
        // What went wrong first is what the caller has to know, and this must not be lost.
        println!("error: {}: {error:#}", place.engine());
    }
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Stops what this record names, unless somebody else has stopped it meanwhile and perhaps started it anew.
fn give_back(place: &Place, ours: &Record) -> Result<()> {
    let _alone = alone(place)?;
    match place.load()? {
        Some(record) if record.processes == ours.processes => stop(place, record),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use anyhow::bail;

    use super::*;
    use crate::engines::{Launch, down, start};

    /// Something that runs and is recorded, as `up` leaves it.
    fn sleeping(place: &Place) -> Running {
        fs::create_dir_all(place.dir()).unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        let launch = Launch { programs: vec![("server", sleep)], address: ([127, 0, 0, 1], 1).into() };
        let record = Record { version: Some("4.1.0".to_owned()), ..start(place, launch).unwrap() };
        place.save(&record).unwrap();
        Running { record, started: true }
    }

    #[track_caller]
    fn check_lent(started: bool, work: fn(SocketAddr, &str) -> Result<u16>, ends_well: bool) {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path(), Engine::Kafka);
        let running = Running { started, ..sleeping(&place) };
        let done = catch_unwind(AssertUnwindSafe(|| lend(&place, &running, work)));
        assert_eq!(done.is_ok_and(|done| done.is_ok()), ends_well);
        assert_eq!(running.record.server_runs().unwrap(), !started, "only what was started for this is stopped");
        down(Engine::Kafka, root.path()).unwrap();
    }

    #[test]
    fn what_was_started_for_some_work_is_stopped_however_it_ends() {
        check_lent(true, |address, _| Ok(address.port()), true);
        check_lent(true, |_, version| bail!("{version} is not liked"), false);
        check_lent(true, |_, _| panic!("a bug"), false);
    }

    #[test]
    fn what_was_running_before_some_work_goes_on() {
        check_lent(false, |address, _| Ok(address.port()), true);
        check_lent(false, |_, version| bail!("{version} is not liked"), false);
    }

    #[test]
    fn what_somebody_else_has_started_meanwhile_is_not_given_back() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path(), Engine::Kafka);
        let ours = sleeping(&place);
        down(Engine::Kafka, root.path()).unwrap();
        let theirs = sleeping(&place);
        give_back(&place, &ours.record).unwrap();
        assert!(theirs.record.server_runs().unwrap());
        down(Engine::Kafka, root.path()).unwrap();
        assert!(!theirs.record.server_runs().unwrap());
    }
}
