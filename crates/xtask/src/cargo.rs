//! Calls of cargo: the commands that the chores consist of, and what cargo knows about the workspace.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// The part of `cargo metadata` that the chores need.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// Where the workspace lies.
    pub(crate) workspace_root: PathBuf,
    /// Where it is built.
    pub(crate) target_directory: PathBuf,
    /// Its members.
    pub(crate) packages: Vec<Package>,
}

/// A member of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    /// As `-p` takes it.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// Its `Cargo.toml`.
    pub(crate) manifest_path: PathBuf,
    /// What it depends on, of every kind.
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a member depends on.
#[derive(Deserialize)]
pub(crate) struct Dependency {
    /// `None` for a normal one, otherwise `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Where it lies, when it is not from a registry.
    pub(crate) path: Option<PathBuf>,
}

/// The cargo that started us, with these arguments.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// The manifest of the workspace that asks real brokers.
pub(crate) fn spikes() -> Result<PathBuf> {
    Ok(metadata()?.workspace_root.join("spikes/Cargo.toml"))
}

/// Asks cargo for the members of the workspace.
pub(crate) fn metadata() -> Result<Metadata> {
    let output = command(&["metadata", "--no-deps", "--format-version", "1"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start `cargo metadata`")?;
    ensure!(output.status.success(), "`cargo metadata` failed ({}); its message stands above", output.status);
    serde_json::from_slice(&output.stdout).context("cannot understand what `cargo metadata` says")
}
