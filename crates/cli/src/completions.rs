//! Completions for the shell of the user.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::{exit::Exit, output::Output};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Which shell.
    shell: Shell,
}

pub(crate) fn run(args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics where it cannot write, as into a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Args::command(), "mainspring", &mut script);
    output.bytes(&script)?;
    Ok(Exit::Done)
}
