//! `cargo xtask sim`: random histories of the store on a simulated disk, in a release build.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo;

/// What to play; `cargo xtask sim -- --help` lists it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed to the program: `--seeds N`, `--from S`, `--seed S`, `--canary`, `--jobs N`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    program: Vec<String>,
}

/// Builds and runs it; answers its exit code, which says whether a planted bug was caught or not.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let status = cargo::command(&["run", "--quiet", "--release", "--package", "mainspring-sim", "--"])
        .args(&args.program)
        .status()
        .context("cannot start `cargo run --package mainspring-sim`")?;
    // A program that was killed has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
