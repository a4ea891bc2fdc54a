//! Misuse of the derives fails the build with a message that says what to do; these files hold the messages.

#[test]
fn misuse_is_a_build_error_that_explains_itself() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
