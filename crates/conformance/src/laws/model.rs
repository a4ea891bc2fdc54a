//! All laws at once: whatever is said to a store, it answers as the reference does.

use crate::{Backend, agrees_with_the_reference};

/// Random histories are answered as by the reference.
pub(crate) async fn random_histories_are_answered_as_by_the_reference(backend: &dyn Backend) {
    for seed in 1..=16 {
        agrees_with_the_reference(backend, seed, 150).await;
    }
}
