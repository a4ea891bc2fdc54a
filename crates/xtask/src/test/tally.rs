//! Reads what `cargo test` prints and keeps the counts, and names whatever did not report a result of its own.

use std::fmt;

/// The counts of a run, and what has to be said beside them.
///
/// A test program that dies without a result, and a package that does not build, count as one failure each: the counts
/// alone must never look green when the run is not.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    filtered: u64,
    notes: Vec<String>,
    programs: u64,
    failed_before_program: u64,
    could_not_compile: bool,
}

impl Tally {
    /// Takes the next line of output.
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.result(counts);
        } else if line.starts_with("     Running ") || line.starts_with("   Doc-tests ") {
            self.programs += 1;
            self.failed_before_program = self.failed;
        } else if let Some((before, rerun)) = line.split_once("test failed, to rerun pass ")
            // It need not be the beginning: a program that is killed in the middle of a line does not end it.
            && (before.ends_with("error: ") || before.ends_with("error: doc"))
        {
            self.program_failed(rerun);
        } else if line.starts_with("error: could not compile ") {
            self.could_not_compile = true;
        } else if let Some((name, reason)) = ignored(line) {
            self.notes.push(format!("left out: {name}{reason}"));
        }
    }

    /// Cargo has ended; a failure of `what` that nothing else accounts for becomes one of ours.
    pub(crate) fn finished(&mut self, success: bool, what: &str) {
        if !success && self.failed == 0 {
            self.failed = 1;
            self.notes.push(format!("failed: {what} could not be built or started; the reason stands above"));
        }
    }

    /// Something that was to be tested is not there, which is a failure by its own name.
    pub(crate) fn missing(&mut self, what: &str) {
        self.failed += 1;
        self.notes.push(format!("failed: {what}"));
    }

    /// Something that the run was asked to leave out, which its last lines must say.
    pub(crate) fn left_out(&mut self, what: &str) {
        self.notes.push(format!("left out: {what}"));
    }

    /// Adds the counts of another call.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.filtered += other.filtered;
        self.programs += other.programs;
        self.notes.extend(other.notes);
    }

    /// Adds the counts of another call; `true` when those are green.
    pub(crate) fn include(&mut self, other: Self) -> bool {
        let green = other.is_green();
        self.add(other);
        green
    }

    /// Whether tests ran and none of them failed.
    pub(crate) fn is_green(&self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    /// Whether no test program was even started.
    pub(crate) fn ran_nothing(&self) -> bool {
        self.programs == 0
    }

    /// Whether the compiler refused something.
    pub(crate) fn could_not_compile(&self) -> bool {
        self.could_not_compile
    }

    /// Reads what follows `test result:`, such as `ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out`.
    fn result(&mut self, counts: &str) {
        for part in counts.split([';', '.']) {
            let Some((number, what)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                "filtered out" => self.filtered += number,
                _ => {}
            }
        }
    }

    fn program_failed(&mut self, rerun: &str) {
        if self.failed == self.failed_before_program {
            self.failed += 1;
            self.notes.push(format!("failed: {rerun} ended without the result of its tests"));
        }
    }
}

impl fmt::Display for Tally {
    /// The notes, a line each, and then the counts alone on the last line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            writeln!(f, "{note}")?;
        }
        if self.filtered > 0 {
            writeln!(f, "left out: {} tests that the arguments did not select", self.filtered)?;
        }
        if self.passed + self.failed == 0 {
            writeln!(f, "failed: no test ran")?;
        }
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The name of an ignored test and the reason it gives, from a line such as `test slow ... ignored, needs a disk`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("test ")?.split_once(" ... ignored")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(output: &str, success: bool, expected: &str) {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.line(line));
        tally.finished(success, "the workspace");
        assert_eq!(tally.to_string(), expected);
        assert_eq!(tally.is_green(), success, "is it green?");
    }

    #[test]
    fn the_results_of_all_programs_are_added_up() {
        let output = "     Running unittests src/lib.rs (target/debug/deps/a-1)\n\
                      running 2 tests\n\
                      test one ... ok\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.31s\n\
                      \x20  Doc-tests a\n\
                      test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        check(output, true, "42 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn what_was_left_out_is_named() {
        let output = "test slow ... ignored, needs a disk\n\
                      test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.31s";
        let expected = "left out: slow, needs a disk\n\
                        left out: 7 tests that the arguments did not select\n\
                        1 passed, 0 failed, 1 skipped";
        check(output, true, expected);
    }

    #[test]
    fn what_is_missing_is_a_failure_by_name() {
        let mut tally = Tally::default();
        tally.line("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.31s");
        assert!(tally.is_green());
        tally.missing("kafka: not ready");
        assert!(!tally.is_green());
        assert_eq!(tally.to_string(), "failed: kafka: not ready\n3 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_failed_test_is_counted_once() {
        let output = "     Running tests/a.rs (target/debug/deps/a-1)\n\
                      test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n\
                      error: test failed, to rerun pass `-p a --test a`\n\
                      error: 1 target failed:";
        check(output, false, "1 passed, 2 failed, 0 skipped");
    }

    #[test]
    fn a_program_that_dies_is_a_failure_of_its_own() {
        let output = "     Running tests/a.rs (target/debug/deps/a-1)\n\
                      test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n\
                      error: test failed, to rerun pass `-p a --test a`\n\
                      \x20    Running tests/b.rs (target/debug/deps/b-1)\n\
                      running 3 tests\n\
                      test one ... error: test failed, to rerun pass `-p a --test b`\n\
                      \x20  Doc-tests a\n\
                      error: doctest failed, to rerun pass `-p a --doc`";
        let expected = "failed: `-p a --test b` ended without the result of its tests\n\
                        failed: `-p a --doc` ended without the result of its tests\n\
                        0 passed, 3 failed, 0 skipped";
        check(output, false, expected);
    }

    #[test]
    fn what_does_not_build_is_a_failure() {
        let output = "error: could not compile `a` (lib) due to 1 previous error";
        let expected = "failed: the workspace could not be built or started; the reason stands above\n\
                        0 passed, 1 failed, 0 skipped";
        check(output, false, expected);
    }

    #[test]
    fn a_run_without_tests_is_not_green() {
        let mut tally = Tally::default();
        tally.finished(true, "the workspace");
        assert_eq!(tally.to_string(), "failed: no test ran\n0 passed, 0 failed, 0 skipped");
        assert!(!tally.is_green());
    }

    #[test]
    fn tallies_of_several_calls_are_added_up() {
        let mut whole = Tally::default();
        whole.line("error: could not compile `b` (lib) due to 1 previous error");
        assert!(whole.ran_nothing() && whole.could_not_compile());
        let mut good = Tally::default();
        good.line("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        let mut bad = Tally::default();
        bad.finished(false, "`b`");
        whole.add(good);
        whole.add(bad);
        whole.finished(false, "the workspace");
        let expected = "failed: `b` could not be built or started; the reason stands above\n\
                        3 passed, 1 failed, 0 skipped";
        assert_eq!(whole.to_string(), expected);
    }
}
