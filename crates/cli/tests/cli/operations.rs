//! The page for operators: what it shows is what the program does.

use crate::kit::Place;

/// Whether a line is what the page shows; `…` stands for anything.
fn matches(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    let rest = between.iter().try_fold(rest, |rest, part| rest.find(part).map(|at| &rest[at + part.len()..]));
    rest.is_some_and(|rest| rest.ends_with(last))
}

#[test]
fn dots_stand_for_anything_and_nothing_else_does() {
    assert!(matches("a 12 b 3", "a … b …") && matches("", "") && matches("a", "a") && matches("ab", "a…b"));
    assert!(!matches("a 12 b", "a … c") && !matches("ab", "a") && !matches("b", "ab") && !matches("a", "a…b"));
}

#[test]
fn the_example_of_the_page_does_what_it_shows() {
    let page = include_str!("../../../../docs/operations.md");
    let (_, rest) = page.split_once("```console\n").expect("the page has an example");
    let (example, _) = rest.split_once("```").expect("the example ends");
    let place = Place::new();
    let mut commands = 0;
    for step in example.split("$ mainspring ").skip(1) {
        let (args, shown) = step.split_once('\n').expect("a command ends its line");
        let ran = place.run(args, "");
        let printed: Vec<_> = ran.out.lines().chain(ran.err.lines()).collect();
        let shown: Vec<_> = shown.lines().collect();
        let same = printed.len() == shown.len() && printed.iter().zip(&shown).all(|(line, shown)| matches(line, shown));
        assert!(same, "mainspring {args}\nshown:   {shown:#?}\nprinted: {printed:#?}");
        assert_eq!(ran.code, Some(0), "mainspring {args}");
        commands += 1;
    }
    assert!(commands >= 8, "{commands} commands");
}
