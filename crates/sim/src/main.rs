//! `mainspring-sim`, which `cargo xtask sim` runs: random histories of the store on a disk that fails, and the canaries that
//! show that they would find something.

use std::{num::NonZero, process::ExitCode, thread, time::Instant};

use clap::Parser;
use mainspring_sim::{Flaw, Played, hunt, play, play_all};

/// Something is wrong with the store; or, with `--canary`, all is as it should be: every planted bug fails.
const FAILS: u8 = 1;
/// A planted bug was not caught, so the histories prove nothing. (2 is how clap refuses arguments.)
const NOT_CAUGHT: u8 = 3;

/// Play random histories to the store on a simulated disk that fails, and compare each step with the reference model.
#[derive(Parser)]
#[command(bin_name = "cargo xtask sim")]
struct Args {
    /// How many histories.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    seeds: u64,
    /// The seed of the first one.
    #[arg(long, value_name = "S", default_value_t = 1)]
    from: u64,
    /// Replay this one history and say what happens in it.
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "from", "canary"])]
    seed: Option<u64>,
    /// Play them to stores with planted bugs; every one must be caught. Exits with 1 when all are, with 3 otherwise.
    #[arg(long)]
    canary: bool,
    /// On how many threads; as many as the machine has unless said otherwise.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.seed {
        Some(seed) => replay(seed),
        None if args.canary => canary(&args),
        None => campaign(&args),
    }
}

fn replay(seed: u64) -> ExitCode {
    let Played { totals, digest, log, violation, .. } = play(seed, None, true);
    log.iter().for_each(|line| println!("{line}"));
    print!("\n{totals}");
    println!("digest {digest:016x}");
    match violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("\n{violation}");
            ExitCode::from(FAILS)
        }
    }
}

fn campaign(args: &Args) -> ExitCode {
    let jobs = args.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
    let begun = Instant::now();
    let found = play_all(args.from..args.from + args.seeds, jobs);
    print!("{}", found.totals);
    println!("{:>12.1} seconds on {jobs} threads", begun.elapsed().as_secs_f64());
    for violation in &found.violations {
        println!("\n{violation}");
    }
    let missing = found.totals.missing();
    if found.violations.is_empty() {
        println!("{} histories, nothing wrong with the store", found.totals.seeds);
        if !missing.is_empty() {
            println!("too few to have done everything: there were no {}", missing.join(", no "));
        }
        return ExitCode::SUCCESS;
    }
    println!("\n{} of {} histories went wrong", found.violations.len(), found.totals.seeds);
    ExitCode::from(FAILS)
}

fn canary(args: &Args) -> ExitCode {
    // Bugs may panic, and a panic of a planted bug is a way to catch it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut uncaught = 0;
    for flaw in Flaw::ALL {
        let catch = hunt(flaw, args.from..args.from + args.seeds);
        match catch.violation {
            Some(violation) => {
                let what = violation.what.lines().next().unwrap_or_default();
                println!("caught      {flaw}: by seed {} at step {}: {what}", violation.seed, violation.step);
            }
            None => {
                uncaught += 1;
                println!("NOT CAUGHT  {flaw}: {} histories found nothing", catch.seeds);
            }
        }
    }
    if uncaught > 0 {
        println!("{uncaught} of {} planted bugs were not caught: the histories do not prove enough", Flaw::ALL.len());
        return ExitCode::from(NOT_CAUGHT);
    }
    println!("all {} planted bugs were caught: it fails as it should", Flaw::ALL.len());
    ExitCode::from(FAILS)
}
