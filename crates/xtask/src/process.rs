//! Processes by identity: an id is given again to somebody else, an id with its time of start is not.

use std::{fs, io};

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// One process of this machine, now or in the past.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) id: u32,
    /// When it was started, in ticks since the machine was.
    pub(crate) started: u64,
    /// Which start of the machine that was.
    pub(crate) boot: String,
}

/// What the machine says of a process.
#[derive(Debug, PartialEq)]
struct Stat {
    state: char,
    parent: u32,
    started: u64,
}

impl Process {
    /// The process that has this id now, if any has.
    pub(crate) fn running(id: u32) -> Result<Option<Self>> {
        let Some(stat) = stat(id)? else { return Ok(None) };
        Ok(Some(Self { id, started: stat.started, boot: boot()? }))
    }

    /// Whether it still runs. One that has ended and that nobody has asked about yet does not.
    pub(crate) fn is_running(&self) -> Result<bool> {
        let Some(stat) = stat(self.id)? else { return Ok(false) };
        Ok(stat.started == self.started && !matches!(stat.state, 'Z' | 'X') && boot()? == self.boot)
    }

    /// It and its descendants, as they are now; nobody when it does not run.
    pub(crate) fn family(&self) -> Result<Vec<Self>> {
        if !self.is_running()? {
            return Ok(Vec::new());
        }
        let everybody = everybody()?;
        let mut family = vec![self.clone()];
        let mut at = 0;
        while at < family.len() {
            let parent = family[at].id;
            let children = everybody.iter().filter(|(_, stat)| stat.parent == parent);
            let boot = &self.boot;
            family.extend(children.map(|(id, stat)| Self { id: *id, started: stat.started, boot: boot.clone() }));
            at += 1;
        }
        Ok(family)
    }

    /// Asks it to end; nothing happens when it does not run.
    pub(crate) fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends it; nothing happens when it does not run.
    pub(crate) fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_running()? {
            return Ok(());
        }
        let id = i32::try_from(self.id).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| anyhow!("{} is not the id of a process", self.id))?;
        match kill_process(id, signal) {
            // It ended by itself in this moment.
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot stop process {}", self.id)),
        }
    }
}

/// All processes of this machine.
fn everybody() -> Result<Vec<(u32, Stat)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc, by which processes are known")? {
        if let Ok(id) = entry?.file_name().to_string_lossy().parse()
            && let Some(stat) = stat(id)?
        {
            found.push((id, stat));
        }
    }
    Ok(found)
}

fn stat(id: u32) -> Result<Option<Stat>> {
    match fs::read_to_string(format!("/proc/{id}/stat")) {
        Ok(text) => parse(&text).map(Some).with_context(|| format!("cannot understand /proc/{id}/stat: {text}")),
        // Where there is no /proc at all, nothing may be taken for dead.
        Err(error) if error.kind() == io::ErrorKind::NotFound => boot().map(|_| None),
        // It ended while it was looked at.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read /proc/{id}/stat")),
    }
}

/// Which start of the machine this is.
fn boot() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let id =
        fs::read_to_string(path).with_context(|| format!("cannot read {path}: engines are started on Linux only"))?;
    Ok(id.trim().to_owned())
}

/// Reads a line of `proc(5)`: the id, the name in brackets (it may hold spaces and brackets), and then what is counted.
fn parse(line: &str) -> Option<Stat> {
    let mut fields = line[line.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of the line, where the state is field 3 and the parent is field 4.
    let started = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name_is() {
        let line = "4711 (a) b (c) S 17 4711 4711 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 10 0";
        assert_eq!(parse(line), Some(Stat { state: 'S', parent: 17, started: 123_456 }));
        assert_eq!(parse("4711 (cut off) S 17"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_runs_and_another_with_its_id_does_not() {
        let us = Process::running(std::process::id()).unwrap().unwrap();
        assert!(us.is_running().unwrap());
        assert!(us.family().unwrap().contains(&us));
        let earlier = Process { started: us.started - 1, ..us.clone() };
        let before_boot = Process { boot: "another".to_owned(), ..us };
        for stranger in [earlier, before_boot] {
            assert!(!stranger.is_running().unwrap());
            assert_eq!(stranger.family().unwrap(), []);
            stranger.kill().unwrap();
        }
    }

    #[test]
    fn what_has_ended_does_not_run_even_before_it_is_reaped() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process { id: child.id(), started: 0, boot: boot().unwrap() };
        let process = Process::running(child.id()).unwrap().unwrap_or(process);
        let begun = std::time::Instant::now();
        while process.is_running().unwrap() {
            assert!(begun.elapsed() < std::time::Duration::from_secs(10), "`true` does not end");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!process.is_running().unwrap());
    }
}
