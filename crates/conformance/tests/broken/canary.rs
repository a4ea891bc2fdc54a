//! A law that cannot fail is no law. What broken stores and broken brokers have in common: how the laws are asked of them,
//! and that every law is listed with some flaw.

use std::sync::Arc;

use mainspring_conformance::{Law, Subjected, Verdict};

/// A backend with one flaw, whose title completes "one that …", and the laws that must notice it, by `group::name`.
pub(crate) struct Canary<B: ?Sized> {
    pub(crate) backend: Arc<B>,
    pub(crate) caught_by: &'static [&'static str],
}

/// Makes one test of each list of flaws, one of the wrapper without a flaw, and one that no law is without a flaw.
macro_rules! canaries {
    (of $laws:ident by $canary:ident; sound: $sound:path; $($test:ident: $flaws:path,)*) => {
        /// Without a flaw the wrapper obeys every law, so what the laws find are the flaws and not the wrapper.
        #[test]
        fn the_sound_wrapper_obeys_every_law() {
            crate::canary::assert_sound($laws, &$canary(&$sound));
        }

        $(#[test]
        fn $test() {
            crate::canary::assert_caught($laws, $flaws.iter().map($canary));
        })*

        #[test]
        fn every_law_can_fail() {
            crate::canary::assert_all_can_fail($laws, [$($flaws),*].into_iter().flatten().map($canary));
        }
    };
}

pub(crate) fn assert_sound<B: Subjected + ?Sized>(laws: &[Law<B>], sound: &Canary<B>) {
    for law in laws {
        assert_eq!(law.judge(sound.backend.clone()), Verdict::Holds, "{law:?}");
    }
}

/// Asks the laws that are listed with each flaw.
pub(crate) fn assert_caught<B: Subjected + ?Sized>(laws: &[Law<B>], canaries: impl Iterator<Item = Canary<B>>) {
    let mut missed = Vec::new();
    for Canary { backend, caught_by } in canaries {
        let flaw = backend.title();
        assert!(!caught_by.is_empty(), "no law is listed with the flaw `{flaw}`");
        for name in caught_by {
            let law = laws.iter().find(|law| format!("{law:?}") == *name);
            let law = law.unwrap_or_else(|| panic!("there is no law `{name}`"));
            if !matches!(law.judge(backend.clone()), Verdict::Broken(_)) {
                missed.push(format!("{name} does not notice one that {flaw}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

pub(crate) fn assert_all_can_fail<B: Subjected + ?Sized>(laws: &[Law<B>], canaries: impl Iterator<Item = Canary<B>>) {
    let listed: Vec<_> = canaries.flat_map(|canary| canary.caught_by).copied().collect();
    let unproven: Vec<_> = laws.iter().map(|law| format!("{law:?}")).filter(|law| !listed.contains(&&**law)).collect();
    assert!(unproven.is_empty(), "no flaw shows that these can fail:\n{}", unproven.join("\n"));
}
