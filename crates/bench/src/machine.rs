//! The machine: what it is, and how much of its processors others use meanwhile.

use std::{collections::HashMap, fs, path::Path, time::Instant};

/// Ticks a second in the figures of `/proc`, on every architecture that Rust runs on.
const TICKS: f64 = 100.0;

/// Processors, memory, file system and kernel, in a line.
pub(crate) fn describe(directory: &Path) -> String {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field(&text("/proc/cpuinfo"), "model name").unwrap_or("of unknown model").to_owned();
    let memory = kilobytes(&text("/proc/meminfo"), "MemTotal").map_or(0.0, |kilobytes| kilobytes as f64 / 1048576.0);
    let kernel = text("/proc/sys/kernel/osrelease");
    let file_system = file_system(directory, &text("/proc/self/mounts"));
    format!("{cpus} processors ({model}), {memory:.0} GiB of memory, {file_system}, Linux {}", kernel.trim())
}

/// A figure such as `RssAnon:   123 kB` of a file in `/proc`.
pub(crate) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    field(text, name)?.split_whitespace().next()?.parse().ok()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim_start().strip_prefix(':')?.trim()))
}

/// The type of the file system with the longest mount point above `directory`.
fn file_system(directory: &Path, mounts: &str) -> String {
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let mount = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (point, kind) = (words.next()?.to_owned(), words.next()?.to_owned());
        directory.starts_with(&point).then_some((point.len(), kind))
    };
    mounts.lines().filter_map(mount).max().map_or_else(|| "unknown file system".to_owned(), |(_, kind)| kind)
}

/// Measures how much of the processors others used since it was made.
pub(crate) struct Meter {
    begun: Instant,
    used: f64,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), used: used_by_others() }
    }

    /// How many processors others kept busy, on average; the kernel's own threads count.
    pub(crate) fn foreign(&self) -> f64 {
        ((used_by_others() - self.used) / self.begun.elapsed().as_secs_f64()).max(0.0)
    }
}

/// Seconds of processor time that were used, or stolen by the host, except by this process and its descendants.
fn used_by_others() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let figures: Vec<u64> =
        stat.lines().next().unwrap_or("").split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // In order: user, nice, system, idle, waiting, interrupts (two kinds), stolen.
    let all: u64 = [0, 1, 2, 7].into_iter().filter_map(|index| figures.get(index)).sum();
    (all as f64 - ticks_of_family() as f64) / TICKS
}

/// Ticks used by this process, its living descendants, and those of them that have ended.
fn ticks_of_family() -> u64 {
    let mut processes: HashMap<u32, (u32, u64)> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process that has ended meanwhile is counted with its parent.
        if let Ok(stat) = fs::read_to_string(entry.path().join("stat"))
            && let Some(process) = parent_and_ticks(&stat)
        {
            processes.insert(id, process);
        }
    }
    ticks_below(std::process::id(), &processes)
}

/// Ticks of a process and its descendants, among processes with their parents and ticks.
fn ticks_below(ancestor: u32, processes: &HashMap<u32, (u32, u64)>) -> u64 {
    let is_family = |mut id: u32| loop {
        if id == ancestor {
            return true;
        }
        match processes.get(&id) {
            Some((parent, _)) if *parent != 0 => id = *parent,
            _ => return false,
        }
    };
    processes.iter().filter(|(id, _)| is_family(**id)).map(|(_, (_, ticks))| ticks).sum()
}

fn parent_and_ticks(stat: &str) -> Option<(u32, u64)> {
    // The name of the program, in parentheses, may contain anything.
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = words.get(11..15)?.iter().filter_map(|word| word.parse::<u64>().ok()).sum();
    Some((words.get(1)?.parse().ok()?, ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "42 (a) b (c) S 7 1 1 0 -1 4194304 1 2 3 4 10 20 30 40 20 0 1 0 5";
        assert_eq!(parent_and_ticks(stat), Some((7, 100)));
    }

    #[test]
    fn the_work_of_descendants_is_not_foreign() {
        // The parent of 8 has ended between two looks.
        let processes = [(1, (0, 1)), (2, (1, 10)), (3, (2, 100)), (4, (3, 1000)), (5, (1, 10_000)), (8, (7, 100_000))];
        assert_eq!(ticks_below(2, &HashMap::from(processes)), 1110);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "Rss:  1 kB\nRssAnon:\t  123 kB\n";
        assert_eq!(kilobytes(text, "RssAnon"), Some(123));
        assert_eq!(kilobytes(text, "Rss"), Some(1));
        assert_eq!(kilobytes(text, "RssFile"), None);
    }
}
