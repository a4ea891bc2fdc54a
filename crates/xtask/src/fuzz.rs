//! `cargo xtask fuzz`: lets libFuzzer look for bytes that a decoder does not take. Needs a nightly toolchain and `cargo-fuzz`.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// Which targets, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One target only; every one of `fuzz/fuzz_targets` unless said.
    #[arg(long)]
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Runs the targets one after the other; `true` when none has found anything.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = cargo::metadata()?.workspace_root;
    let targets = match &args.target {
        Some(target) => vec![target.clone()],
        None => targets(&root.join("fuzz/fuzz_targets"))?,
    };
    let mut green = true;
    for target in targets {
        println!("\n==> {target}, {} s", args.seconds);
        // What is found on the way stays in a directory of its own: the corpus holds what somebody has looked at.
        let (found, corpus) = (root.join("fuzz/target/corpus").join(&target), root.join("fuzz/corpus").join(&target));
        std::fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
        let status = Command::new("cargo")
            .args(["+nightly", "fuzz", "run", &target])
            .args([&found, &corpus])
            .args(["--", &format!("-max_total_time={}", args.seconds), "-max_len=8192", "-print_final_stats=1"])
            .current_dir(&root)
            .status()
            .context("cannot start cargo")?;
        ensure!(
            status.code() != Some(101),
            "it did not come to fuzzing: its message stands above. `rustup toolchain install nightly` and \
             `cargo install cargo-fuzz` install what it needs"
        );
        green &= status.success();
    }
    Ok(green)
}

/// The names of the targets in this directory.
fn targets(directory: &std::path::Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}
