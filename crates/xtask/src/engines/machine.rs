//! What this machine has, and how it gets what it lacks.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

/// A program of this name on the `PATH`, or where systems keep what is for administrators.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from));
    places.map(|dir| dir.join(program)).find(|path| path.is_file())
}

/// Whether we may change this machine.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs a command to its end; what it says is shown.
///
/// # Errors
/// When it cannot be started or fails.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let status = command.status().with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} failed ({status}); its message stands above");
    Ok(())
}

/// Installs packages of this system.
///
/// # Errors
/// When that is not possible here, with what to do by hand.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if find("apt-get").is_none() {
        bail!("not possible here, because there is no apt-get: install {list} by the means of your system");
    }
    ensure!(is_root(), "not possible here, because only root installs packages: run `apt-get install {list}` as root");
    println!("apt-get installs {list}");
    let _quiet = NoServices::begin(Path::new("/"))?;
    run(apt_get().args(["update", "-qq"]))?;
    run(apt_get().args(["install", "-qq", "--no-install-recommends"]).args(packages))
}

/// An `apt-get` that asks nothing.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-y");
    command
}

/// Keeps packages from starting their services, as long as it lives. What somebody else decided about that stands.
pub(super) struct NoServices(Option<PathBuf>);

impl NoServices {
    /// For the system below `root`.
    pub(super) fn begin(root: &Path) -> Result<Self> {
        use std::{io::Write, os::unix::fs::OpenOptionsExt};
        let path = root.join("usr/sbin/policy-rc.d");
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path);
        let made = made.and_then(|mut file| file.write_all(b"#!/bin/sh\nexit 101\n"));
        match made {
            Ok(()) => Ok(Self(Some(path))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Self(None)),
            Err(error) => Err(error).with_context(|| format!("cannot create {}", path.display())),
        }
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && let Err(error) = fs::remove_file(path)
        {
            println!("{} could not be deleted, delete it by hand: {error}", path.display());
        }
    }
}

/// The mirror from which this system gets the packages of its release, by its own lists of sources.
pub(super) fn mirror(release: &str) -> Result<String> {
    let mut lists = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        lists.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
    }
    let texts = lists.iter().filter_map(|path| fs::read_to_string(path).ok());
    let found = texts.filter_map(|text| mirror_in(&text, release)).next();
    found.with_context(|| format!("the sources of apt name no mirror of {release}"))
}

/// The first address in a list of sources, of either form, that has the release itself.
fn mirror_in(text: &str, release: &str) -> Option<String> {
    let line = |line: &str| {
        let rest = line.trim().strip_prefix("deb ")?.trim_start();
        let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
        let (address, suite) = rest.trim().split_once(' ')?;
        (suite.split_whitespace().next() == Some(release)).then(|| address.to_owned())
    };
    let paragraph = |paragraph: &str| {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let has =
            |name: &str, word: &str| field(name).is_some_and(|words| words.split_whitespace().any(|one| one == word));
        let address = field("URIs")?.split_whitespace().next()?;
        (has("Types", "deb") && has("Suites", release)).then(|| address.to_owned())
    };
    text.lines().find_map(line).or_else(|| text.split("\n\n").find_map(paragraph))
}

/// A field of `os-release(5)`.
pub(super) fn release(field: &str) -> Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix('='));
    Ok(value.with_context(|| format!("/etc/os-release has no {field}"))?.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(mirror_in(text, "bookworm").as_deref(), expected);
    }

    #[test]
    fn a_mirror_is_found_in_lines() {
        check(
            "# deb http://old bookworm main\ndeb http://one/debian bookworm main contrib\n",
            Some("http://one/debian"),
        );
        check("deb [signed-by=/a arch=amd64] https://two/debian  bookworm main", Some("https://two/debian"));
        check("deb-src http://one/debian bookworm main\ndeb http://one/security bookworm-security main", None);
    }

    #[test]
    fn a_mirror_is_found_in_paragraphs() {
        let text = "Types: deb\nURIs: http://security\nSuites: bookworm-security\n\n\
                    Types: deb deb-src\n# a comment\nURIs: http://three/debian http://four\nSuites: bookworm bookworm-updates\n";
        check(text, Some("http://three/debian"));
        check("Types: deb-src\nURIs: http://three\nSuites: bookworm\n", None);
        check("", None);
    }

    #[test]
    fn a_file_that_somebody_else_made_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("usr/sbin/policy-rc.d");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(NoServices::begin(root.path()).unwrap());
        assert!(!path.exists());
        fs::write(&path, "theirs").unwrap();
        drop(NoServices::begin(root.path()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }
}
