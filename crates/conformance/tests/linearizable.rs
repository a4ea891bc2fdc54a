//! The reference model under many clients, with many seeds: its histories have linear orders.

use mainspring_conformance::{Linearization, Memory, linearizable_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_histories_of_the_model_have_linear_orders() {
    let mut all = Linearization::default();
    for seed in 1..=6 {
        all = [all, linearizable_of(&Memory, seed, 400).await].into_iter().sum();
    }
    println!("{all:?}");
    assert!(all.commits > 5_000 && all.conflicts > 500 && all.repeats > 300 && all.reused > 100, "{all:?}");
    assert!(all.batches > 5_000, "{all:?}");
}
