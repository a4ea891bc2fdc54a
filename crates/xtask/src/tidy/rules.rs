//! The rules for single files, one row each. A line that has to break one says so in a comment on it or on the line
//! above: `tidy: allow(<rule>): <reason>`.

use super::{Finding, source::SourceFile};

/// More lines than this are worth a look.
const LONG: usize = 400;

/// More lines than this are too many for a file of the product.
const TOO_LONG: usize = 600;

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];

/// Directories that exist on one machine only.
const MACHINE_PATHS: [&str; 2] = [concat!("/", "work/"), concat!("/", "root/")];

struct Rule {
    name: &'static str,
    /// The lines that break the rule, counted from 1.
    broken_by: fn(&SourceFile) -> Vec<usize>,
    advice: &'static str,
    fails: bool,
}

#[rustfmt::skip] // A table reads as a table.
const RULES: &[Rule] = &[
    Rule { name: "header", broken_by: header, fails: true, advice: "begin the file with `//!` and say why it exists" },
    Rule { name: "name", broken_by: name, fails: true, advice: "name the file after the one concept inside" },
    Rule { name: "glob", broken_by: glob, fails: true, advice: "name each re-export; a glob hides what is public" },
    Rule { name: "ignored-test", broken_by: ignored_test, fails: true, advice: "make the test run, or delete it" },
    Rule { name: "ignored-doctest", broken_by: ignored_doctest, fails: true, advice: "make the example run, or use `no_run` if it needs a service" },
    Rule { name: "unfinished", broken_by: unfinished, fails: true, advice: "finish it; what is not there is left out" },
    Rule { name: "sleep", broken_by: sleep, fails: true, advice: "a test waits for a condition with a deadline" },
    Rule { name: "machine-path", broken_by: machine_path, fails: true, advice: "this directory exists on one machine only" },
    Rule { name: "too-long", broken_by: too_long, fails: true, advice: "more than 600 lines; split the file by concept" },
    Rule { name: "long", broken_by: long, fails: false, advice: "more than 400 lines; is it still one concept?" },
];

/// What the rules have to say about a file.
pub(super) fn check(file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in RULES {
        for line in (rule.broken_by)(file) {
            if !is_allowed(file, rule.name, line) {
                let say = if rule.fails { Finding::error } else { Finding::note };
                findings.push(say(&file.path, Some(line), &format!("{} [{}]", rule.advice, rule.name)));
            }
        }
    }
    findings
}

/// Whether a comment on the line, or on the one above, allows it and says why.
fn is_allowed(file: &SourceFile, rule: &str, line: usize) -> bool {
    let mark = format!("tidy: allow({rule}): ");
    let mut near = file.comments.lines().skip(line.saturating_sub(2)).take(if line == 1 { 1 } else { 2 });
    near.any(|comment| comment.split_once(&mark).is_some_and(|(_, reason)| !reason.trim().is_empty()))
}

fn header(file: &SourceFile) -> Vec<usize> {
    // The files that compile-fail tests compile are shown to users, as users write them.
    let exempt = !file.is_rust() || file.path.contains("/tests/ui/");
    if exempt || file.text.starts_with("//!") { Vec::new() } else { vec![1] }
}

fn name(file: &SourceFile) -> Vec<usize> {
    let empty = |part: &str| EMPTY_NAMES.contains(&part.strip_suffix(".rs").unwrap_or(part));
    if file.is_rust() && file.path.split('/').any(empty) { vec![1] } else { Vec::new() }
}

fn glob(file: &SourceFile) -> Vec<usize> {
    let code = &file.code;
    let is_glob = |start: &usize| {
        let statement = code[*start..].split(';').next().unwrap_or("");
        let public = statement.split_once("use ").map(|(public, _)| public.trim_end());
        // What stands before `use` is `pub`, perhaps with a restriction such as `(crate)`, and nothing else.
        public.is_some_and(|public| public == "pub" || (public.starts_with("pub(") && public.ends_with(')')))
            && statement.contains('*')
    };
    let starts = code.match_indices("pub").map(|(start, _)| start).filter(is_glob);
    starts.map(|start| code[..start].matches('\n').count() + 1).collect()
}

fn ignored_test(file: &SourceFile) -> Vec<usize> {
    lines(&file.code, |line| line.contains("#[ignore") || (line.contains("cfg_attr(") && has_word(line, "ignore")))
}

fn ignored_doctest(file: &SourceFile) -> Vec<usize> {
    let is_doc = file.is_rust() || file.path.ends_with(".md");
    let ignores = |line: &str| {
        let line = line.trim_start_matches([' ', '/', '!']);
        let info = line.strip_prefix("```").unwrap_or("");
        info.split([',', ' ']).any(|word| word.starts_with("ignore"))
    };
    if is_doc { lines(&file.comments, ignores) } else { Vec::new() }
}

fn unfinished(file: &SourceFile) -> Vec<usize> {
    lines(&file.code, |line| ["todo!", "unimplemented!", "dbg!"].iter().any(|word| has_word(line, word)))
}

fn sleep(file: &SourceFile) -> Vec<usize> {
    let test_lines = file.test_lines();
    let sleeps = lines(&file.code, |line| {
        // The machine's clock is meant; a simulated one may well have a method of that name.
        ["thread::sleep", "time::sleep"].iter().any(|path| line.contains(path)) || has_bare_call(line, "sleep(")
    });
    sleeps.into_iter().filter(|line| test_lines[line - 1]).collect()
}

fn machine_path(file: &SourceFile) -> Vec<usize> {
    let begins_path = |line: &str, path: &str| {
        let mut found = line.match_indices(path);
        found.any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "-_./*}>".contains(c)))
    };
    lines(&file.text, |line| MACHINE_PATHS.iter().any(|path| begins_path(line, path)))
}

fn too_long(file: &SourceFile) -> Vec<usize> {
    if file.is_rust() && !file.is_test() && file.text.lines().count() > TOO_LONG { vec![1] } else { Vec::new() }
}

fn long(file: &SourceFile) -> Vec<usize> {
    let length = file.text.lines().count();
    let already_refused = !file.is_test() && length > TOO_LONG;
    if file.is_rust() && length > LONG && !already_refused { vec![1] } else { Vec::new() }
}

/// The numbers of the lines for which `broken` holds.
fn lines(text: &str, broken: impl Fn(&str) -> bool) -> Vec<usize> {
    text.lines().zip(1..).filter(|(line, _)| broken(line)).map(|(_, number)| number).collect()
}

/// Whether `word` stands in the line and is not the end of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let mut found = line.match_indices(word);
    found.any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

/// Whether the line has a call such as `sleep(` by its bare name: neither as a method, nor by a path, nor its definition.
fn has_bare_call(line: &str, call: &str) -> bool {
    let mut found = line.match_indices(call);
    found.any(|(at, _)| {
        let before = &line[..at];
        let defines = before.trim_end().ends_with("fn");
        !defines && !before.ends_with(|c: char| c.is_alphanumeric() || "_.:".contains(c))
    })
}

#[cfg(test)]
mod tests;
