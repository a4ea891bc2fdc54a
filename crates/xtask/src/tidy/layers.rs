//! The layers of the workspace. Dependencies point down only, so that a contract never knows who implements it and an
//! engine never knows which store it runs on.

use super::{Finding, tree::Member};

/// A part of a layer whose crates may all use the same.
struct Row {
    layer: &'static str,
    /// Directories below `crates/`, or with it when they lie elsewhere; a `*` at the end stands for any rest.
    crates: &'static [&'static str],
    /// The layers that these crates may use.
    below: &'static [&'static str],
    /// The single crates that they may use beyond those.
    also: &'static [&'static str],
}

const CONTRACTS: &[&str] = &["0", "1"];
const PARTS: &[&str] = &["0", "1", "2a", "2b", "2c"];
const PRODUCT: &[&str] = &["0", "1", "2a", "2b", "2c", "3"];
const ALL: &[&str] = &["0", "1", "2a", "2b", "2c", "3", "4", "tools"];

/// Every crate of the workspace has its place here. Dependencies of tests are free and not looked at.
#[rustfmt::skip] // A table reads as a table.
const TABLE: &[Row] = &[
    Row { layer: "0", crates: &["retry", "macros"], below: &[], also: &[] },
    // The traits and their derives are one thing to a user, so `event` re-exports the derives.
    Row { layer: "0", crates: &["event"], below: &[], also: &["macros"] },
    Row { layer: "1", crates: &["store"], below: &["0"], also: &[] },
    // Both contracts share the clock and what carries the cause of an error.
    Row { layer: "1", crates: &["broker"], below: &["0"], also: &["store"] },
    Row { layer: "2a", crates: &["store-*", "broker-*"], below: CONTRACTS, also: &[] },
    Row { layer: "2b", crates: &["domain", "projection", "schema", "stream"], below: CONTRACTS, also: &[] },
    Row { layer: "2b", crates: &["messaging", "saga"], below: CONTRACTS, also: &["domain"] },
    Row { layer: "2b", crates: &["outbox"], below: CONTRACTS, also: &["messaging", "projection"] },
    Row { layer: "2c", crates: &["view-*"], below: CONTRACTS, also: &["messaging", "projection"] },
    Row { layer: "3", crates: &["runtime"], below: PARTS, also: &[] },
    Row { layer: "3", crates: &["mainspring"], below: PARTS, also: &["runtime"] },
    Row { layer: "4", crates: &["server"], below: PRODUCT, also: &[] },
    // `mainspring demo` runs the shop.
    Row { layer: "4", crates: &["cli"], below: PRODUCT, also: &["server", "apps/shop"] },
    Row { layer: "tools", crates: &["conformance", "sim", "bench", "xtask"], below: ALL, also: &[] },
    Row { layer: "apps", crates: &["apps/*"], below: &[], also: &["mainspring"] },
];

/// Every crate is in the table, and uses only what its row allows.
pub(super) fn check(members: &[Member]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        let Some(row) = row(&member.dir) else {
            let message = "this crate is in no layer: give it a row in `TABLE` in crates/xtask/src/tidy/layers.rs \
                           and a place in ARCHITECTURE.md";
            findings.push(Finding::error(&member.dir, None, message));
            continue;
        };
        for used in &member.uses {
            if !row.may_use(used) {
                findings.push(Finding::error(format!("{}/Cargo.toml", member.dir), None, row.refusal(used)));
            }
        }
    }
    findings
}

impl Row {
    fn may_use(&self, used: &str) -> bool {
        let in_layers_below = row(used).is_some_and(|row| self.below.contains(&row.layer));
        in_layers_below || self.also.contains(&key(used))
    }

    fn refusal(&self, used: &str) -> String {
        let there = row(used).map_or("no layer", |row| row.layer);
        let mut allowed: Vec<_> = self.below.iter().map(|layer| format!("layer {layer}")).collect();
        allowed.extend(self.also.iter().map(|used| format!("`{used}`")));
        let allowed = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        format!("a crate of layer {} must not depend on {used} ({there}), only on: {allowed}", self.layer)
    }
}

fn row(dir: &str) -> Option<&'static Row> {
    let matches = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => key(dir).starts_with(start),
        None => key(dir) == *pattern,
    };
    TABLE.iter().find(|row| row.crates.iter().any(matches))
}

/// How the table names a directory.
fn key(dir: &str) -> &str {
    dir.strip_prefix("crates/").unwrap_or(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks one crate that uses others; expects what is said about it, up to the list of what it may use.
    #[track_caller]
    fn check(dir: &str, uses: &[&str], expected: &[&str]) {
        let uses = uses.iter().map(|&used| used.to_owned()).collect();
        let findings = super::check(&[Member { dir: dir.to_owned(), uses, ..Member::default() }]);
        let said: Vec<_> = findings.iter().map(|finding| finding.message.split(", only").next().unwrap()).collect();
        assert_eq!(said, expected);
    }

    #[test]
    fn down_is_allowed() {
        check("crates/event", &["crates/macros"], &[]);
        check("crates/store", &["crates/event"], &[]);
        check("crates/broker", &["crates/event", "crates/store"], &[]);
        check("crates/store-disk", &["crates/store", "crates/event"], &[]);
        check("crates/saga", &["crates/domain", "crates/store", "crates/retry"], &[]);
        check("crates/view-sqlite", &["crates/projection"], &[]);
        check("crates/mainspring", &["crates/runtime", "crates/store-disk", "crates/view-sqlite"], &[]);
        check("crates/cli", &["crates/mainspring", "crates/server", "apps/shop"], &[]);
        check("crates/sim", &["crates/store-disk", "crates/conformance"], &[]);
        check("apps/shop", &["crates/mainspring"], &[]);
    }

    #[test]
    fn up_is_refused() {
        let expected = "a crate of layer 0 must not depend on crates/store (1)";
        check("crates/event", &["crates/store"], &[expected]);
        let expected = "a crate of layer 1 must not depend on crates/broker (1)";
        check("crates/store", &["crates/broker"], &[expected]);
        let expected = "a crate of layer 2b must not depend on crates/view-sqlite (2c)";
        check("crates/projection", &["crates/store", "crates/view-sqlite"], &[expected]);
        let expected = "a crate of layer 3 must not depend on crates/server (4)";
        check("crates/mainspring", &["crates/server"], &[expected]);
    }

    #[test]
    fn sideways_is_refused_unless_the_table_says_so() {
        let expected = "a crate of layer 2a must not depend on crates/store-disk (2a)";
        check("crates/broker-embedded", &["crates/store-disk"], &[expected]);
        check("crates/domain", &["crates/saga"], &["a crate of layer 2b must not depend on crates/saga (2b)"]);
        let expected = "a crate of layer 2b must not depend on crates/store-disk (2a)";
        check("crates/domain", &["crates/store-disk"], &[expected]);
        check("apps/bank", &["apps/shop"], &["a crate of layer apps must not depend on apps/shop (apps)"]);
        check("apps/bank", &["crates/store"], &["a crate of layer apps must not depend on crates/store (1)"]);
    }

    #[test]
    fn the_product_does_not_use_tools() {
        for dir in ["crates/store-disk", "crates/domain", "crates/mainspring", "crates/cli"] {
            let layer = row(dir).unwrap().layer;
            let expected = format!("a crate of layer {layer} must not depend on crates/sim (tools)");
            check(dir, &["crates/sim"], &[&expected]);
        }
    }

    #[test]
    fn an_unknown_crate_is_told_where_to_go() {
        let findings = super::check(&[Member { dir: "crates/novelty".to_owned(), ..Member::default() }]);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].message.contains("`TABLE` in crates/xtask/src/tidy/layers.rs"), "{}", findings[0]);
        let expected = "a crate of layer 1 must not depend on crates/novelty (no layer)";
        check("crates/store", &["crates/novelty"], &[expected]);
    }
}
