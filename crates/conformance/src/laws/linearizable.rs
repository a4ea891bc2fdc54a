//! Laws 1 to 9 under load: whatever many clients see at once, they could have seen one after the other.

use crate::{Backend, linearizable};

/// What many clients see at once has a linear order.
pub(crate) async fn what_many_clients_see_at_once_has_a_linear_order(backend: &dyn Backend) {
    for seed in 1..=3 {
        linearizable(backend, seed).await;
    }
}
