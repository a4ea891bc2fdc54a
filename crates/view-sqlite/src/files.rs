//! The files of a views directory: what they are called, and work on them away from the asynchronous threads.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use mainspring_projection::Generation;

use crate::ViewError;

/// The file of one generation; the first of a version has the plain name.
pub(crate) fn model_path(directory: &Path, name: &str, generation: Generation) -> PathBuf {
    let Generation { version, number } = generation;
    match number {
        1 => directory.join(format!("{name}.v{version}.sqlite")),
        _ => directory.join(format!("{name}.v{version}.{number}.sqlite")),
    }
}

/// Refuses names that could leave the directory or be mistaken for another file.
pub(crate) fn check_name(name: &str) -> Result<(), ViewError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 128 || !name.chars().all(plain) {
        return Err(ViewError::Name { name: name.to_owned() });
    }
    Ok(())
}

/// Held by whoever writes one version of a projection; the operating system frees it when the process ends.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// Closing the file is not enough: a child process that is being started holds a copy of it for a moment.
    fn drop(&mut self) {
        // If this fails, closing the file is all there is left to do.
        let _ = self.0.unlock();
    }
}

/// Takes the lock of one version of a projection.
pub(crate) async fn lock(directory: &Path, name: &str, version: u32) -> Result<Lock, ViewError> {
    let path = directory.join(format!("{name}.v{version}.lock"));
    let taken = blocking(path, |path| {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    });
    taken.await?.ok_or_else(|| ViewError::Locked { name: name.to_owned(), version })
}

/// Creates the directory and those above it.
pub(crate) async fn create_directory(directory: &Path) -> Result<(), ViewError> {
    blocking(directory.to_owned(), |path| std::fs::create_dir_all(path)).await
}

/// Whether the file is there.
pub(crate) async fn exists(path: &Path) -> Result<bool, ViewError> {
    blocking(path.to_owned(), Path::try_exists).await
}

/// The size of a database and what has not been moved into it yet, in bytes; 0 where there is none.
pub(crate) async fn size(database: &Path) -> Result<u64, ViewError> {
    blocking(database.to_owned(), |database| {
        let mut total = 0;
        for path in parts(database) {
            match path.metadata() {
                Ok(metadata) => total += metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    })
    .await
}

/// Removes a database; one that is not there is removed already.
pub(crate) async fn remove(database: &Path) -> Result<(), ViewError> {
    blocking(database.to_owned(), |database| {
        for path in parts(database) {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    })
    .await
}

/// A database file and the two that SQLite keeps beside it. They go first, so that they never meet another database.
fn parts(database: &Path) -> [PathBuf; 3] {
    let beside = |suffix: &str| {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    [beside("-wal"), beside("-shm"), database.to_owned()]
}

/// Runs work on files on a thread that may block.
async fn blocking<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, ViewError> {
    let done = tokio::task::spawn_blocking(move || work(&path).map_err(|source| ViewError::File { path, source }));
    match done.await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ViewError::ShuttingDown),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_in_its_directory() {
        for bad in ["", "..", "a/b", "a.v2", "ä", "a b"] {
            assert!(matches!(check_name(bad), Err(ViewError::Name { .. })), "{bad}");
        }
        assert!(check_name("order_summary-2").is_ok());
    }

    #[test]
    fn each_generation_has_its_own_file() {
        let path = |version, number| model_path(Path::new("views"), "orders", Generation { version, number });
        assert_eq!(path(3, 1), Path::new("views/orders.v3.sqlite"));
        assert_eq!(path(3, 2), Path::new("views/orders.v3.2.sqlite"));
    }
}
