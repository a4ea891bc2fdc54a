//! The documents that keep the workspace findable: the map names every crate, and changes are written down.

use super::{Finding, tree::Workspace};

const MAP: &str = "ARCHITECTURE.md";

/// Documents that must be there, with what they are for.
const DOCUMENTS: [(&str, &str); 2] = [(MAP, "the map of the crates"), ("CHANGELOG.md", "what changed for users")];

/// The documents are there, and the map names every crate.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let text = |path: &str| workspace.files.iter().find(|file| file.path == path).map(|file| file.text.as_str());
    let mut findings = Vec::new();
    for (path, purpose) in DOCUMENTS {
        if text(path).is_none() {
            findings.push(Finding::error(path, None, format!("this file is missing: {purpose}")));
        }
    }
    let map = text(MAP).unwrap_or("");
    let dirs = workspace.members.iter().map(|member| member.dir.as_str());
    let mut missing: Vec<_> = dirs.filter(|dir| !names(map, dir)).collect();
    missing.sort_unstable();
    if !missing.is_empty() {
        findings.push(Finding::error(MAP, None, format!("the map does not name {}", missing.join(", "))));
    }
    findings
}

/// Whether a text names a directory, as a whole path or as its last part in backticks.
fn names(text: &str, dir: &str) -> bool {
    let last = dir.rsplit('/').next().unwrap_or(dir);
    let whole = |(at, _): (usize, &str)| {
        let next = text[at + dir.len()..].chars().next();
        next.is_none_or(|next| !(next.is_alphanumeric() || next == '-' || next == '_'))
    };
    text.contains(&format!("`{last}`")) || text.match_indices(dir).any(whole)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{source::SourceFile, tree::Member},
        *,
    };

    #[track_caller]
    fn check(documents: &[(&str, &str)], dirs: &[&str], expected: &[&str]) {
        let file = |&(path, text): &(&str, &str)| SourceFile::new(path.to_owned(), text.to_owned());
        let member = |&dir: &&str| Member { dir: dir.to_owned(), ..Member::default() };
        let workspace =
            Workspace { members: dirs.iter().map(member).collect(), files: documents.iter().map(file).collect() };
        let found: Vec<_> = super::check(&workspace).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_map_that_names_every_crate_passes() {
        let map = "`store` the contract; crates/store-disk (on disk); apps/shop.";
        let dirs = ["crates/store", "crates/store-disk", "apps/shop"];
        check(&[("ARCHITECTURE.md", map), ("CHANGELOG.md", "")], &dirs, &[]);
    }

    #[test]
    fn a_longer_name_is_not_the_shorter_one() {
        let documents = [("ARCHITECTURE.md", "crates/store-disk, and the store"), ("CHANGELOG.md", "")];
        let expected = "error: ARCHITECTURE.md: the map does not name crates/store";
        check(&documents, &["crates/store", "crates/store-disk"], &[expected]);
    }

    #[test]
    fn missing_documents_are_listed() {
        let expected = [
            "error: ARCHITECTURE.md: this file is missing: the map of the crates",
            "error: CHANGELOG.md: this file is missing: what changed for users",
            "error: ARCHITECTURE.md: the map does not name crates/event",
        ];
        check(&[], &["crates/event"], &expected);
    }
}
