//! Counts how often processes make the disk keep what was written, by attaching strace to them.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// Attached to some processes until it is stopped.
pub(super) enum Counter {
    Counting {
        strace: Child,
        output: NamedTempFile,
        processes: Vec<u32>,
    },
    /// strace is not there, or may not attach.
    Unable,
}

/// What a file that is synced by every write has been opened with, in `/proc/*/fdinfo`.
const O_DSYNC: u32 = 0o10000;

impl Counter {
    /// Attaches to all threads of these processes.
    pub(super) fn start(processes: &[u32]) -> anyhow::Result<Self> {
        let output = NamedTempFile::new()?;
        let mut command = Command::new("strace");
        command.args(["-f", "-e", "trace=fsync,fdatasync,write,pwrite64,pwritev,pwritev2,writev", "-s", "0", "-o"]);
        command.arg(output.path());
        for process in processes {
            command.args(["-p", &process.to_string()]);
        }
        let Ok(mut strace) = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn() else {
            return Ok(Self::Unable);
        };
        let mut errors = BufReader::new(strace.stderr.take().context("strace has no output")?);
        for _ in processes {
            let mut line = String::new();
            errors.read_line(&mut line)?;
            if !line.contains("attached") {
                // It ends by itself when it could not attach; otherwise it must not stay attached to the others.
                let _ = strace.kill();
                strace.wait()?;
                return Ok(Self::Unable);
            }
        }
        // It goes on to say things, about new threads for example, and must not wait for a reader.
        std::thread::spawn(move || errors.lines().map_while(Result::ok).for_each(drop));
        Ok(Self::Counting { strace, output, processes: processes.to_vec() })
    }

    /// Detaches; answers how many syncs there were, if they could be counted.
    pub(super) fn stop(self) -> anyhow::Result<Option<usize>> {
        let Self::Counting { mut strace, output, processes } = self else { return Ok(None) };
        let mut synced = HashSet::new();
        for process in processes {
            synced.extend(synced_files(process)?);
        }
        let id = i32::try_from(strace.id()).ok().and_then(Pid::from_raw).context("strace has no process id")?;
        kill_process(id, Signal::INT)?;
        strace.wait()?;
        Ok(Some(count(&fs::read_to_string(output.path())?, &synced)))
    }
}

/// The open files of a process that every write syncs.
fn synced_files(process: u32) -> anyhow::Result<Vec<u32>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        let entry = entry?;
        // A file that was closed meanwhile is none that appends go to.
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        let flags = text.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
        if flags.is_some_and(|flags| flags & O_DSYNC != 0)
            && let Some(file) = entry.file_name().to_str().and_then(|name| name.parse().ok())
        {
            files.push(file);
        }
    }
    Ok(files)
}

/// Counts the syncs in what strace has written: one line a call, or two where another thread came between.
fn count(trace: &str, synced: &HashSet<u32>) -> usize {
    let is_sync = |line: &&str| {
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let Some((name, arguments)) = call.split_once('(') else { return false };
        let file = arguments.split([',', ')', ' ']).next().and_then(|file| file.parse().ok());
        match name {
            "fsync" | "fdatasync" => true,
            "write" | "pwrite64" | "pwritev" | "pwritev2" | "writev" => file.is_some_and(|file| synced.contains(&file)),
            _ => false,
        }
    };
    trace.lines().filter(is_sync).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_counted_once_and_plain_writes_not() {
        let trace = "12 fdatasync(7 <unfinished ...>\n13 write(3, \"\"..., 10) = 10\n12 <... fdatasync resumed>) = 0\n\
                     12 pwrite64(9, \"\"..., 512, 0) = 512\n12 fsync(7) = 0\n12 --- SIGSTOP ---\n";
        assert_eq!(count(trace, &HashSet::new()), 2);
        assert_eq!(count(trace, &HashSet::from([9])), 3);
    }
}
