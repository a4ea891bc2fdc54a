//! Deciders and decisions that could not work fail the build; these files hold the messages.

#[test]
fn misuse_is_a_build_error_that_explains_itself() {
    let cases = trybuild::TestCases::new();
    // What is computed for each decider fails only where code is generated; a case that passes makes that happen.
    cases.pass("tests/ui/pass.rs");
    cases.compile_fail("tests/ui/fail_*.rs");
}
