//! The program that the README shows is the example, and it does what the README says.

use std::process::Command;

#[test]
fn the_readme_shows_the_example() {
    let readme = include_str!("../../../README.md");
    let (_, shown) = include_str!("../examples/readme.rs").split_once('\n').expect("the example opens with `//!`");
    let block = format!("```rust\n{shown}```");
    assert!(readme.contains(&block), "README.md must show crates/mainspring/examples/readme.rs");
}

#[test]
fn the_example_runs_and_goes_on_where_it_left_off() {
    let test = std::env::current_exe().expect("the test has a file");
    let target = test.ancestors().nth(2).expect("tests are built below the target directory");
    let example = target.join("examples/readme");
    let directory = tempfile::tempdir().expect("a directory for the program");
    for expected in ["ada has 20 cents after 2 events\n", "ada has 40 cents after 4 events\n"] {
        let ran = Command::new(&example).current_dir(&directory).output();
        let ran = ran.expect("`cargo test` builds the examples; run it without naming a single test target");
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
        assert!(ran.status.success());
    }
}
