//! What tidy looks at: the members of the workspace and the text files of its tree.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::source::SourceFile;
use crate::cargo::{self, Package};

/// Hidden directories that belong to the sources; every other hidden one is passed by.
const HIDDEN: [&str; 2] = [".ci", ".cargo"];

/// Directories of what running the product leaves behind.
const PRODUCED: [&str; 2] = ["target", "mainspring-data"];

/// The workspace as it stands on disk.
pub(super) struct Workspace {
    /// Its crates.
    pub(super) members: Vec<Member>,
    /// Its text files, in the order of their paths.
    pub(super) files: Vec<SourceFile>,
}

/// A crate of the workspace.
#[derive(Debug, Default)]
pub(super) struct Member {
    /// Its directory, such as `crates/event`.
    pub(super) dir: String,
    /// The name of its package.
    pub(super) name: String,
    /// What its manifest says it is for.
    pub(super) description: Option<String>,
    /// The text of its manifest.
    pub(super) manifest: String,
    /// The directories of the members it depends on, except for tests.
    pub(super) uses: Vec<String>,
}

/// Reads the workspace that the current directory belongs to.
pub(super) fn load() -> Result<Workspace> {
    let metadata = cargo::metadata()?;
    let root = metadata.workspace_root;
    let members = metadata.packages.into_iter().map(|package| member(&root, package)).collect::<Result<_>>()?;
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Workspace { members, files })
}

fn member(root: &Path, package: Package) -> Result<Member> {
    let manifest = fs::read_to_string(&package.manifest_path)
        .with_context(|| format!("cannot read {}", package.manifest_path.display()))?;
    let used = package.dependencies.iter().filter(|used| used.kind.as_deref() != Some("dev"));
    Ok(Member {
        dir: package.manifest_path.parent().map_or_else(String::new, |dir| relative(root, dir)),
        name: package.name,
        description: package.description,
        manifest,
        uses: used.filter_map(|used| used.path.as_deref()).map(|path| relative(root, path)).collect(),
    })
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<SourceFile>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let entry = entry?;
        let (kind, name) = (entry.file_type()?, entry.file_name());
        let name = name.to_string_lossy();
        if kind.is_dir() {
            let hidden = name.starts_with('.') && !HIDDEN.contains(&&*name);
            if !hidden && !PRODUCED.contains(&&*name) {
                collect(root, &entry.path(), files)?;
            }
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            // What is not UTF-8 is data, such as the golden files of a format.
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(SourceFile::new(relative(root, &entry.path()), text));
            }
        }
    }
    Ok(())
}

/// A path below `root` with forward slashes; a path elsewhere stays as it is.
fn relative(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_read_as_it_is() {
        let workspace = load().unwrap();
        let xtask = workspace.members.iter().find(|member| member.name == "mainspring-xtask").unwrap();
        assert_eq!(xtask.dir, "crates/xtask");
        assert!(xtask.manifest.contains("[lints]"));
        let has = |path: &str| workspace.files.iter().any(|file| file.path == path);
        assert!(has("crates/xtask/src/tidy/tree.rs") && has(".cargo/config.toml") && has("Cargo.toml"));
        assert!(!workspace.files.iter().any(|file| file.path.starts_with("target/") || file.path.starts_with(".git/")));
    }

    #[test]
    fn a_test_dependency_is_not_a_use() {
        let workspace = load().unwrap();
        let store = workspace.members.iter().find(|member| member.dir == "crates/store").unwrap();
        assert!(store.uses.contains(&"crates/event".to_owned()));
        assert!(!store.uses.contains(&"crates/conformance".to_owned()));
    }
}
