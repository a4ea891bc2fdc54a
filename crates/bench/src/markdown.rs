//! The tables of `docs/benchmarks.md`: medians of all runs, with the least and the greatest.

use std::fmt::Write;

use crate::{
    paired::median,
    table::{OURS, Row, Section, figure},
};

/// Everything that was measured, as Markdown.
pub(crate) fn document(head: &[String], sections: &[Section]) -> String {
    let command: Vec<String> = std::env::args().skip(1).collect();
    let mut text =
        format!("# Figures\n\nPrinted by `mainspring-bench {}`; not written by hand.\n\n", command.join(" "));
    for line in head {
        text.push_str(line);
        text.push_str("\n\n");
    }
    for section in sections.iter().filter(|section| !section.rows.is_empty()) {
        table(&mut text, section);
    }
    text
}

fn table(text: &mut String, section: &Section) {
    let peers = section.rows.iter().any(|row| row.of != OURS);
    let who = |name: &str, cell: &str| if peers { format!("{name} | {cell}") } else { name.to_owned() };
    let mut groups: Vec<Vec<&Row>> = Vec::new();
    for row in &section.rows {
        match groups.iter_mut().find(|group| group[0].name == row.name && group[0].of == row.of) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    let runs = groups.iter().map(Vec::len).max().unwrap_or(0);
    let runs = if runs == 1 { "One run.".to_owned() } else { format!("Medians of {runs} runs (least – greatest).") };
    let lines = [
        format!("## {}\n\n{}. {runs}\n\n", section.title, capital(&section.about)),
        format!("| {} | figure | beside | ratio | p50 / p99 / p99.9 µs | bar | met |\n", who("what", "store")),
        format!("| {} | ---: | ---: | ---: | ---: | --- | --- |\n", who("---", "---")),
    ];
    text.extend(lines);
    let mut notes: Vec<(String, &str)> = Vec::new();
    for group in groups {
        let row = group[0];
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} {} | {} | {} | {} | {} | {} |",
            who(&row.name, &row.of),
            spread(&group, |row| Some(row.figure).filter(|figure| !figure.is_nan()), figure),
            row.unit,
            beside(&group),
            spread(&group, |row| row.ratio, |ratio| format!("{ratio:.2}")),
            percentiles(&group),
            row.bar,
            met(&group),
        );
        let name = who(&row.name, &row.of).replace(" | ", ": ");
        for row in group.iter().filter(|row| !row.note.is_empty()) {
            if !notes.iter().any(|(of, note)| *of == name && *note == row.note) {
                notes.push((name.clone(), &row.note));
            }
        }
    }
    text.push('\n');
    for (name, note) in &notes {
        let _ = writeln!(text, "- {name}: {note}.");
    }
    if !notes.is_empty() {
        text.push('\n');
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// The median of a figure over the runs, with its bounds where there were several.
fn spread(group: &[&Row], of: impl Fn(&Row) -> Option<f64>, show: impl Fn(f64) -> String) -> String {
    let values: Vec<f64> = group.iter().filter_map(|row| of(row)).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        0 => "–".to_owned(),
        1 => show(values[0]),
        _ => format!("{} ({} – {})", show(median(values)), show(least), show(greatest)),
    }
}

fn beside(group: &[&Row]) -> String {
    let values: Vec<f64> = group.iter().filter_map(|row| row.beside).collect();
    if values.is_empty() { "–".to_owned() } else { format!("{} {}", group[0].beside_is, figure(median(values))) }
}

fn percentiles(group: &[&Row]) -> String {
    let cell = |of: fn(&Row) -> Option<f64>| {
        let values: Vec<f64> = group.iter().filter_map(|row| of(row)).collect();
        if values.is_empty() { "–".to_owned() } else { figure(median(values)) }
    };
    let cells = [cell(|row| row.p50_us), cell(|row| row.p99_us), cell(|row| row.p999_us)];
    if cells.iter().all(|cell| cell == "–") { "–".to_owned() } else { cells.join(" / ") }
}

/// In how many of the undisturbed runs the bar was reached.
fn met(group: &[&Row]) -> String {
    if group.iter().any(|row| row.met.is_some()) && group.iter().all(|row| row.disturbed) {
        return "**disturbed**".to_owned();
    }
    let answers: Vec<bool> = group.iter().filter(|row| !row.disturbed).filter_map(|row| row.met).collect();
    let reached = answers.iter().filter(|met| **met).count();
    match (answers.len(), reached) {
        (0, _) => String::new(),
        (all, reached) if all == reached => "yes".to_owned(),
        (_, 0) => "**no**".to_owned(),
        (all, reached) => format!("**{reached} of {all} runs**"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Bar;

    #[test]
    fn runs_of_a_row_become_one_line_with_its_spread() {
        let row = |figure: f64| Row::new("append", figure, "events/s").beside("raw", 10.0, figure / 10.0);
        let rows = [8.0, 4.0, 6.0].map(|figure| row(figure).bar(Bar::Ratio(0.5)).note("noted")).to_vec();
        let mut disturbed = row(1.0).bar(Bar::Ratio(0.5));
        (disturbed.disturbed, disturbed.name) = (true, "load".to_owned());
        let rows = [rows, vec![disturbed]].concat();
        let section = Section { title: "Appending", about: "durable".to_owned(), rows };
        let text = document(&["A machine.".to_owned()], &[section]);
        let (_, text) = text.split_once("by hand.\n\n").unwrap();
        let expected = "A machine.\n\n## Appending\n\nDurable. Medians of 3 runs (least – greatest).\n\n\
                        | what | figure | beside | ratio | p50 / p99 / p99.9 µs | bar | met |\n\
                        | --- | ---: | ---: | ---: | ---: | --- | --- |\n\
                        | append | 6.00 (4.00 – 8.00) events/s | raw 10.00 | 0.60 (0.40 – 0.80) | – | >= 0.5 x raw \
                        | **2 of 3 runs** |\n\
                        | load | 1.00 events/s | raw 10.00 | 0.10 | – | >= 0.5 x raw | **disturbed** |\n\n- append: noted.\n\n";
        assert_eq!(text, expected);
    }
}
