//! `cargo xtask tidy`: the layering of the crates, and the habits that neither compiler nor clippy checks.

mod layers;
mod manifests;
mod map;
mod rules;
mod source;
mod tree;

use std::fmt;

use anyhow::Result;

/// Something that tidy has to say about one place.
#[derive(Debug, PartialEq)]
struct Finding {
    /// The file, seen from the root of the workspace.
    path: String,
    /// Counted from 1; `None` when it concerns the whole file.
    line: Option<usize>,
    /// What is wrong and what to do.
    message: String,
    /// Whether it fails the run, or is only worth a look.
    fails: bool,
}

/// Checks the whole workspace and prints what it finds; `true` when nothing has to change.
pub(crate) fn run() -> Result<bool> {
    let workspace = tree::load()?;
    let mut findings = layers::check(&workspace.members);
    findings.extend(manifests::check(&workspace.members));
    findings.extend(map::check(&workspace));
    findings.extend(workspace.files.iter().flat_map(rules::check));
    findings.sort_by(|a, b| (a.fails, &a.path, a.line).cmp(&(b.fails, &b.path, b.line)));

    for finding in &findings {
        println!("{finding}");
    }
    let errors = findings.iter().filter(|finding| finding.fails).count();
    println!("{} crates, {} files: {errors} errors", workspace.members.len(), workspace.files.len());
    Ok(errors == 0)
}

impl Finding {
    fn error(path: impl Into<String>, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into(), fails: true }
    }

    fn note(path: impl Into<String>, line: Option<usize>, message: impl Into<String>) -> Self {
        Self { fails: false, ..Self::error(path, line, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.fails { "error" } else { "note" };
        write!(f, "{word}: {}", self.path)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_that_an_editor_can_follow() {
        let error = Finding::error("crates/event/src/id.rs", Some(3), "too clever");
        assert_eq!(error.to_string(), "error: crates/event/src/id.rs:3: too clever");
        let note = Finding::note("CHANGELOG.md", None, "short");
        assert_eq!(note.to_string(), "note: CHANGELOG.md: short");
    }
}
