//! What was started, in a small file beside the engine's data, and where that lies.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::process::Process;

/// What was started for an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The version that the server said; `None` before it answered for the first time.
    pub(super) version: Option<String>,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// In the order in which they were started; the server is the last.
    pub(super) processes: Vec<Process>,
}

impl Record {
    /// Whether the server itself is running.
    pub(super) fn server_runs(&self) -> Result<bool> {
        self.processes.last().map_or(Ok(false), Process::is_running)
    }
}

/// The directory of one engine.
pub(super) struct Place {
    engine: Engine,
    dir: PathBuf,
}

impl Place {
    /// That of `engine` below `root`.
    pub(super) fn new(root: &Path, engine: Engine) -> Self {
        Self { engine, dir: root.join(engine.name()) }
    }

    /// Whose it is.
    pub(super) fn engine(&self) -> Engine {
        self.engine
    }

    /// The directory itself.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Something in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where a program of the engine writes what it says.
    pub(super) fn log(&self, program: &str) -> PathBuf {
        self.dir.join(format!("{program}.log"))
    }

    /// Makes a directory in it.
    pub(super) fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// Writes a file in it.
    pub(super) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&self.dir)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// What was started, if anything.
    pub(super) fn load(&self) -> Result<Option<Record>> {
        let path = self.path("state.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(|| {
                format!("cannot understand {}; stop what it names by hand and delete it", path.display())
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Keeps what was started. The file is replaced as a whole, so that a reader never sees half of it.
    pub(super) fn save(&self, record: &Record) -> Result<()> {
        let text = serde_json::to_string_pretty(record).context("cannot encode what was started")?;
        let draft = self.write("state.json.new", &text)?;
        let path = self.path("state.json");
        fs::rename(&draft, &path).with_context(|| format!("cannot replace {}", path.display()))
    }

    /// Everything of it has ended.
    pub(super) fn forget(&self) -> Result<()> {
        let path = self.path("state.json");
        fs::remove_file(&path).with_context(|| format!("cannot delete {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded_until_it_is_forgotten() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path(), Engine::Kafka);
        assert_eq!(place.load().unwrap(), None);
        let process = Process { id: 4711, started: 99, boot: "b".to_owned() };
        let mut record = Record { version: None, address: ([127, 0, 0, 1], 9092).into(), processes: vec![process] };
        place.save(&record).unwrap();
        record.version = Some("4.1.0".to_owned());
        place.save(&record).unwrap();
        assert_eq!(place.load().unwrap(), Some(record));
        place.forget().unwrap();
        assert_eq!(place.load().unwrap(), None);
    }

    #[test]
    fn a_file_that_is_not_understood_is_an_error_that_names_it() {
        let root = tempfile::tempdir().unwrap();
        let place = Place::new(root.path(), Engine::Rabbitmq);
        place.write("state.json", "{\"version\":").unwrap();
        let error = place.load().unwrap_err().to_string();
        assert!(error.contains("state.json; stop what it names by hand and delete it"), "{error}");
    }

    #[test]
    fn the_file_is_plain_json() {
        let text =
            r#"{"version":"4.1.0","address":"127.0.0.1:9092","processes":[{"id":4711,"started":99,"boot":"b"}]}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }
}
