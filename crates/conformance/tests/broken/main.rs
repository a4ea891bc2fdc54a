//! A law that cannot fail is no law. Each flaw here breaks the reference model in one way, and the laws listed with it
//! must find that; every law is listed with some flaw.

mod batches;
mod flaws;
mod store;

use std::{collections::HashSet, sync::Arc};

use mainspring_conformance::{LAWS, Law, Verdict};

use flaws::flaws;
use store::{BrokenBackend, SOUND};

fn law(name: &str) -> &'static Law {
    let law = LAWS.iter().find(|law| format!("{law:?}") == name);
    law.unwrap_or_else(|| panic!("there is no law `{name}`"))
}

/// Without a flaw the wrapper obeys every law, so what the laws find below are the flaws and not the wrapper.
#[test]
fn the_sound_wrapper_obeys_every_law() {
    for law in LAWS {
        assert_eq!(law.judge(Arc::new(BrokenBackend(&SOUND))), Verdict::Holds, "{law:?}");
    }
}

#[test]
fn every_flaw_is_caught_by_the_laws_it_breaks() {
    let mut missed = Vec::new();
    for flaw in flaws() {
        assert!(!flaw.caught_by.is_empty(), "no law is listed with the flaw `{}`", flaw.name);
        for name in flaw.caught_by {
            if !matches!(law(name).judge(Arc::new(BrokenBackend(flaw))), Verdict::Broken(_)) {
                missed.push(format!("{name} does not notice a store that {}", flaw.name));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_law_can_fail() {
    let listed: HashSet<_> = flaws().flat_map(|flaw| flaw.caught_by).copied().collect();
    let unproven: Vec<_> = LAWS.iter().map(|law| format!("{law:?}")).filter(|law| !listed.contains(&**law)).collect();
    assert!(unproven.is_empty(), "no broken store shows that these can fail:\n{}", unproven.join("\n"));
}

#[test]
#[ignore]
fn matrix() {
    for flaw in flaws() {
        let mut caught = Vec::new();
        for law in LAWS {
            if matches!(law.judge(Arc::new(BrokenBackend(flaw))), Verdict::Broken(_)) {
                caught.push(format!("{law:?}"));
            }
        }
        use std::io::Write;
        writeln!(std::io::stderr(), "MATRIX\t{}\t{}", flaw.name, caught.join(",")).unwrap();
    }
}
