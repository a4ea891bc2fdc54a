//! The manifests of the crates: one shape, so that version, edition, licence and lints are decided once for all.

use super::{Finding, tree::Member};

/// Lines that the manifest of every crate has, each in the section it stands beside.
const LINES: [(&str, &str); 6] = [
    ("[package]", "version.workspace = true"),
    ("[package]", "edition.workspace = true"),
    ("[package]", "rust-version.workspace = true"),
    ("[package]", "license.workspace = true"),
    ("[package]", "publish.workspace = true"),
    ("[lints]", "workspace = true"),
];

/// Every crate inherits what the workspace decides, is named after its directory, and says what it is for.
pub(super) fn check(members: &[Member]) -> Vec<Finding> {
    members.iter().flat_map(complaints).collect()
}

fn complaints(member: &Member) -> Vec<Finding> {
    let mut messages = Vec::new();
    for (section, line) in LINES {
        if !has_line(&member.manifest, section, line) {
            messages.push(format!("`{section}` lacks the line `{line}`"));
        }
    }
    if member.description.as_deref().is_none_or(|description| description.trim().is_empty()) {
        messages.push("there is no `description`; say in one line what the crate is for".to_owned());
    }
    let expected = expected_name(&member.dir);
    if member.name != expected {
        messages.push(format!("the package is called `{}`; its directory asks for `{expected}`", member.name));
    }
    let path = format!("{}/Cargo.toml", member.dir);
    messages.into_iter().map(|message| Finding::error(&path, None, message)).collect()
}

fn has_line(manifest: &str, section: &str, line: &str) -> bool {
    let lines = manifest.lines().map(str::trim).skip_while(|other| *other != section).skip(1);
    lines.take_while(|other| !other.starts_with('[')).any(|other| other == line)
}

fn expected_name(dir: &str) -> String {
    match dir.rsplit('/').next() {
        Some("mainspring") | None => "mainspring".to_owned(),
        Some(last) => format!("mainspring-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n\
                        license.workspace = true\npublish.workspace = true\n\n[lints]\nworkspace = true\n";

    #[track_caller]
    fn check(dir: &str, name: &str, description: &str, manifest: &str, expected: &[&str]) {
        let member = Member {
            dir: dir.to_owned(),
            name: name.to_owned(),
            description: Some(description.to_owned()),
            manifest: manifest.to_owned(),
            uses: Vec::new(),
        };
        let messages: Vec<_> = super::check(&[member]).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages, expected);
    }

    #[test]
    fn the_house_shape_passes() {
        check("crates/event", "mainspring-event", "Events", GOOD, &[]);
        check("crates/mainspring", "mainspring", "The façade", GOOD, &[]);
        check("apps/shop", "mainspring-shop", "A shop", GOOD, &[]);
    }

    #[test]
    fn what_a_crate_decides_itself_is_refused() {
        let own_version = GOOD.replace("version.workspace = true\nedition", "version = \"1.0.0\"\nedition");
        let expected = "`[package]` lacks the line `version.workspace = true`";
        check("crates/event", "mainspring-event", "Events", &own_version, &[expected]);
        let no_lints = GOOD.replace("[lints]", "[other]");
        let expected = "`[lints]` lacks the line `workspace = true`";
        check("crates/event", "mainspring-event", "Events", &no_lints, &[expected]);
    }

    #[test]
    fn a_crate_is_described_and_named_after_its_directory() {
        let nameless = "there is no `description`; say in one line what the crate is for";
        check("crates/event", "mainspring-event", " ", GOOD, &[nameless]);
        let expected = "the package is called `events`; its directory asks for `mainspring-event`";
        check("crates/event", "events", "Events", GOOD, &[expected]);
    }
}
