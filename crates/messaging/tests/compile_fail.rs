//! A wrong handler fails the build with a message that names what is wrong; these files hold the messages.

#[test]
fn a_wrong_handler_is_a_build_error_that_names_what_is_wrong() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui-pass/*.rs");
    cases.compile_fail("tests/ui/*.rs");
}
