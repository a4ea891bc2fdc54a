//! Opening a store by URL, so that where events are kept is configuration and not code.

use mainspring_store::{BoxError, MemoryStore, Store};

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No store has this scheme.
    #[error("`{url}` names no store: write `memory:` or `disk:DIRECTORY`")]
    Scheme {
        /// What was to be opened.
        url: String,
    },
    /// The store is not part of this program.
    #[error("`{url}` needs the feature `{feature}` of the crate `mainspring`: build with it")]
    Feature {
        /// What was to be opened.
        url: String,
        /// What to build with.
        feature: &'static str,
    },
    /// The store is there but cannot be used.
    #[error("`{url}` cannot be opened")]
    Failed {
        /// What was to be opened.
        url: String,
        /// What its store says.
        source: BoxError,
    },
}

/// Opens the store at `url`: `memory:` for one that dies with the process, `disk:DIRECTORY` for the embedded one, which is
/// created where it does not exist.
///
/// # Errors
/// [`OpenError`]; its source says what to do.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let store = mainspring::open("memory:").await?;
/// assert!(!store.capabilities().durable);
/// assert!(mainspring::open("cloud:").await.is_err());
/// # Ok::<(), mainspring::OpenError>(()) }).unwrap();
/// ```
pub async fn open(url: &str) -> Result<Store, OpenError> {
    match url.split_once(':') {
        Some(("memory", "")) => Ok(Store::new(MemoryStore::new())),
        Some(("disk", directory)) if !directory.is_empty() => open_disk(url, directory).await,
        _ => Err(OpenError::Scheme { url: url.to_owned() }),
    }
}

#[cfg(feature = "disk")]
async fn open_disk(url: &str, directory: &str) -> Result<Store, OpenError> {
    let failed = |source: BoxError| OpenError::Failed { url: url.to_owned(), source };
    let directory = directory.to_owned();
    // Recovery reads the end of the log.
    let opened = tokio::task::spawn_blocking(move || mainspring_store_disk::DiskStore::open(directory)).await;
    let store = opened.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
    Ok(Store::new(store))
}

#[cfg(not(feature = "disk"))]
async fn open_disk(url: &str, _directory: &str) -> Result<Store, OpenError> {
    Err(OpenError::Feature { url: url.to_owned(), feature: "disk" })
}
