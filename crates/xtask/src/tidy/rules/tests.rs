//! What each rule refuses and, beside it, what it must let pass.

use super::*;

/// Checks a file that is in order but for `text`; expects the broken rules with their lines.
#[track_caller]
fn check(path: &str, text: &str, expected: &[(&str, usize)]) {
    let file = SourceFile::new(path.to_owned(), text.to_owned());
    let findings = super::check(&file);
    let rule = |finding: &Finding| finding.message.rsplit_once('[').unwrap().1.trim_end_matches(']').to_owned();
    let found: Vec<_> = findings.iter().map(|finding| (rule(finding), finding.line.unwrap())).collect();
    let expected: Vec<_> = expected.iter().map(|&(rule, line)| (rule.to_owned(), line)).collect();
    assert_eq!(found, expected, "in {path}:\n{text}");
}

#[test]
fn every_file_says_why_it_exists() {
    check("src/a.rs", "//! Why.\nfn a() {}", &[]);
    check("src/a.rs", "fn a() {}", &[("header", 1)]);
    check("src/a.rs", "", &[("header", 1)]);
    check("build.rs", "// Not a doc.\n//! Why.", &[("header", 1)]);
    check("crates/macros/tests/ui/wrong.rs", "fn main() {}", &[]);
    check("README.md", "Mainspring", &[]);
}

#[test]
fn a_name_says_what_is_inside() {
    check("src/position.rs", "//! Why.", &[]);
    check("src/commonplace.rs", "//! Why.", &[]);
    check("src/utils.rs", "//! Why.", &[("name", 1)]);
    check("tests/common/mod.rs", "//! Why.", &[("name", 1)]);
}

#[test]
fn re_exports_are_named() {
    check("src/a.rs", "//! Why.\npub use b::{C, D};\nuse super::*;\nfn e() -> u8 { 2 * 3 }", &[]);
    check("src/a.rs", "//! Why.\npub use b::*;", &[("glob", 2)]);
    check("src/a.rs", "//! Why.\n\npub(crate) use b::{\n    c::*,\n    D,\n};", &[("glob", 3)]);
    check("src/a.rs", "//! Why.\n// pub use b::*;", &[]);
}

#[test]
fn tests_and_examples_run() {
    check("src/a.rs", "//! Why.\n#[ignore]\nfn a() {}", &[("ignored-test", 2)]);
    check("src/a.rs", "//! Why.\n#[ignore = \"slow\"]\nfn a() {}", &[("ignored-test", 2)]);
    check("src/a.rs", "//! Why.\n#[cfg_attr(windows, ignore)]\nfn a() {}", &[("ignored-test", 2)]);
    check("src/a.rs", "//! Why.\n#[cfg_attr(windows, allow(dead_code))]\nfn ignore() {}", &[]);
    check("src/a.rs", "//! Why.\n/// ```ignore\n/// a()\n/// ```\nfn a() {}", &[("ignored-doctest", 2)]);
    check("src/a.rs", "//! Why.\n//!\n//! ```rust,ignore\n//! ```", &[("ignored-doctest", 3)]);
    check("src/a.rs", "//! Why.\n/// ```no_run\n/// ignore()\n/// ```\nfn a() {}", &[]);
    check("src/a.rs", "//! Why.\nconst A: &str = \"```ignore\";", &[]);
    check("docs/a.md", "```rust,ignore\n```\n", &[("ignored-doctest", 1)]);
}

#[test]
fn nothing_is_left_unfinished() {
    check("src/a.rs", "//! Why.\nfn a() { todo!() }", &[("unfinished", 2)]);
    check("src/a.rs", "//! Why.\nfn a() { unimplemented!(\"b\") }", &[("unfinished", 2)]);
    check("tests/a.rs", "//! Why.\nfn a() { dbg!(1); }", &[("unfinished", 2)]);
    check("src/a.rs", "//! Why.\n// No todo!() here.\nfn a() { not_todo!(\"dbg!\") }", &[]);
}

#[test]
fn tests_do_not_sleep() {
    check("tests/a.rs", "//! Why.\nfn a() { std::thread::sleep(b) }", &[("sleep", 2)]);
    check("tests/a.rs", "//! Why.\nasync fn a() { tokio::time::sleep(b).await }", &[("sleep", 2)]);
    check("tests/a.rs", "//! Why.\nasync fn a() { sleep(b).await }", &[("sleep", 2)]);
    check("tests/a.rs", "//! Why.\nfn sleep(clock: &SimClock) { clock.sleep(b) }", &[]);
    check("src/a.rs", "//! Why.\nfn a() { std::thread::sleep(b) }", &[]);
    let text = "//! Why.\nfn a() { thread::sleep(b) }\n#[cfg(test)]\nmod tests {\n    fn c() { thread::sleep(d) }\n}";
    check("src/a.rs", text, &[("sleep", 5)]);
}

#[test]
fn an_exception_gives_its_reason() {
    let reason = "tidy: allow(sleep): the clock of the kernel itself is under test";
    check("tests/a.rs", &format!("//! Why.\n// {reason}\nfn a() {{ thread::sleep(b) }}"), &[]);
    check("tests/a.rs", &format!("//! Why.\nfn a() {{ thread::sleep(b) }} // {reason}"), &[]);
    check("tests/a.rs", &format!("//! Why.\n// {reason}\n\nfn a() {{ thread::sleep(b) }}"), &[("sleep", 4)]);
    check("tests/a.rs", "//! Why.\n// tidy: allow(sleep): \nfn a() { thread::sleep(b) }", &[("sleep", 3)]);
    check("tests/a.rs", "//! Why.\n// tidy: allow(glob): because\nfn a() { thread::sleep(b) }", &[("sleep", 3)]);
}

#[test]
fn no_file_knows_a_machine() {
    for path in MACHINE_PATHS {
        check("src/a.rs", &format!("//! Why.\nconst A: &str = \"{path}data\";"), &[("machine-path", 2)]);
        check("docs/a.md", &format!("See {path}data."), &[("machine-path", 1)]);
        check("docs/a.md", &format!("See https://example.com{path}data and net{path}x."), &[]);
    }
}

#[test]
fn files_stay_short() {
    let file = |lines: usize| format!("//! Why.\n{}", "\n".repeat(lines - 1));
    check("src/a.rs", &file(LONG), &[]);
    check("src/a.rs", &file(LONG + 1), &[("long", 1)]);
    check("src/a.rs", &file(TOO_LONG + 1), &[("too-long", 1)]);
    check("tests/a.rs", &file(TOO_LONG + 1), &[("long", 1)]);
    check("docs/a.md", &file(TOO_LONG + 1), &[]);
    let long = SourceFile::new("src/a.rs".to_owned(), file(LONG + 1));
    assert!(super::check(&long).iter().all(|finding| !finding.fails), "a long file is reported, not refused");
}
