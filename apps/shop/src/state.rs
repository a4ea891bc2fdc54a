//! The state of one order, now or at an earlier moment.

use mainspring::{AsOf, LoadError, Repository, Store};

use crate::{Order, OrderId};

/// The state of `order`: as it is now, or as it was at a moment. An order that nobody has placed by then is
/// [new](crate::order::Status::New).
///
/// Only events are read and no read model, so the answer is never behind. A store that was opened to read only will do,
/// also while another process writes to it.
///
/// # Errors
/// [`LoadError`] when the store cannot be read, or for a version that the order has not come to.
pub async fn load_state(store: &Store, order: OrderId, at: Option<AsOf>) -> Result<Order, LoadError> {
    let orders = Repository::<Order>::new(store);
    match at {
        Some(moment) => orders.load_as_of(&order, moment).await,
        None => orders.load(&order).await,
    }
}
