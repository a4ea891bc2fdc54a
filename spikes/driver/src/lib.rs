//! What the questions to all brokers share: where a broker is, names that nobody used before, waiting with a deadline,
//! printed figures, a network that is cut, and processes that are killed.

mod network;
mod victim;

use std::{
    env, process,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};

pub use network::Network;
pub use victim::Victim;

/// How long anything here may take before it counts as never.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The address of a broker, from the variable that `cargo xtask test --engines` sets.
///
/// # Errors
/// When it is not set, with what to do.
pub fn address(variable: &str) -> Result<String> {
    env::var(variable).with_context(|| {
        format!("{variable} does not say where the broker is: run this by `cargo xtask test --engines`, or set it to HOST:PORT")
    })
}

/// A name for a queue, a topic or a group that nobody used before.
///
/// # Panics
/// When the clock of this machine is before 1970.
pub fn unique(name: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    format!("spike.{name}.{}.{}", process::id(), now.as_micros())
}

/// Prints what was measured or seen. It is for readers of the run; what must hold is asserted.
pub fn figure(what: &str) {
    println!("    figure: {what}");
}

/// So many things in so much time, for people.
pub fn rate(count: usize, begun: Instant) -> f64 {
    // Counts of messages are far below 2^52.
    count as f64 / begun.elapsed().as_secs_f64()
}

/// Waits until `condition` holds.
///
/// # Errors
/// When it does not within [`PATIENCE`], or cannot be said.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !condition().await? {
        if begun.elapsed() > PATIENCE {
            bail!("waited {} s in vain: {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// The numbers in the order in which each of them came for the first time.
pub fn first_occurrences(numbers: &[usize]) -> Vec<usize> {
    let mut seen = std::collections::BTreeSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_of_each_number_counts() {
        assert_eq!(first_occurrences(&[0, 1, 2, 1, 2, 3]), [0, 1, 2, 3]);
        assert_eq!(first_occurrences(&[1, 0, 1]), [1, 0]);
    }

    #[test]
    fn names_are_new_each_time() {
        assert_ne!(unique("a"), unique("b"));
    }
}
