//! The state of one order, now or at an earlier moment, read beside whoever is writing.

use std::path::Path;

use anyhow::{Context, Result};
use mainspring::{AsOf, Repository, Store, disk::DiskStore};

use crate::{Order, OrderId};

/// The state of `order` in the shop whose store is in `data`: as it is now, or as it was at a moment. An order that nobody
/// has placed by then is [new](crate::order::Status::New).
///
/// The store is opened to read only, so it may be in use by another process. Only events are read and no read model, so the
/// answer is never behind.
///
/// # Errors
/// When there is no store or it cannot be read, or for a version that the order has not come to.
pub async fn load_state(data: &Path, order: OrderId, at: Option<AsOf>) -> Result<Order> {
    let orders = Repository::<Order>::new(&open_read_only(data).await?);
    Ok(match at {
        Some(moment) => orders.load_as_of(&order, moment).await?,
        None => orders.load(&order).await?,
    })
}

/// Opens the store in `data` to read only.
pub(crate) async fn open_read_only(data: &Path) -> Result<Store> {
    let directory = data.to_owned();
    // Opening reads the end of the log.
    let opened = tokio::task::spawn_blocking(move || DiskStore::open_read_only(directory)).await?;
    let store = opened.with_context(|| format!("the store in `{}` cannot be opened", data.display()))?;
    Ok(Store::new(store))
}
