//! How the brokers are shown side by side: a line for each group of laws at the terminal, and every law in Markdown.

use std::fmt::Write;

use super::{Matrix, Verdict};

/// Of the laws of a group and one broker.
#[derive(Default)]
struct Count {
    held: usize,
    broken: usize,
    not_asked: usize,
    /// Others were asked, and this one has said nothing about it.
    unknown: usize,
}

impl Matrix {
    /// A line for each group of laws, and the names of those that are broken.
    pub(super) fn by_group(&self) -> String {
        let mut groups: Vec<_> = self.laws.keys().map(|(_, group, _)| group.as_str()).collect();
        groups.dedup();
        let mut lines = vec![self.heading(0), self.heading(1)];
        lines.extend(groups.iter().map(|group| self.counts(group, |other| other == *group)));
        lines.push(self.counts("all", |_| true));
        let mut text = "Laws of the Broker contract, held/asked:\n".to_owned();
        text.push_str(&aligned(&lines));
        text.push_str("–n: n laws were not asked, because the broker says that it cannot do what they need\n");
        if self.brokers.iter().any(|broker| self.count(broker, |_| true).unknown > 0) {
            text.push_str("?n: n laws that others were asked in this run\n");
        }
        for ((_, group, name), verdicts) in &self.laws {
            for (broker, _) in verdicts.iter().filter(|(_, verdict)| **verdict == Verdict::Broken) {
                writeln!(text, "broken: {group}::{name} by {broker}").expect("a text takes a line");
            }
        }
        text
    }

    /// Every law and every feature, as Markdown.
    pub(super) fn in_full(&self) -> String {
        let mut text = "# Brokers side by side\n\nWritten by `cargo xtask test`; only what its last run asked is here.\n\n\
                        `–`: not asked, because the broker says that it cannot do what the law needs. `?`: not known.\n\n"
            .to_owned();
        let broken = |verdict: &Verdict| match verdict {
            Verdict::Held => "holds",
            Verdict::Broken => "**broken**",
            Verdict::NotAsked => "–",
        };
        self.table(
            &mut text,
            "law",
            self.laws.iter().map(|((_, group, name), verdicts)| {
                (format!("{group}::{name}"), Box::new(move |broker: &str| verdicts.get(broker).map(broken)) as Cell<'_>)
            }),
        );
        text.push('\n');
        self.table(
            &mut text,
            "what it can do",
            self.features.iter().map(|((_, title), values)| {
                (title.clone(), Box::new(move |broker: &str| values.get(broker).map(String::as_str)) as Cell<'_>)
            }),
        );
        text
    }

    fn table<'a>(&self, text: &mut String, title: &str, rows: impl Iterator<Item = (String, Cell<'a>)>) {
        let names: Vec<_> = self.brokers.iter().map(String::as_str).collect();
        let mut line = |first: &str, cells: &[&str]| {
            writeln!(text, "| {first} | {} |", cells.join(" | ")).expect("a text takes a line");
        };
        line(title, &names);
        line("---", &vec!["---"; names.len()]);
        for (first, cell) in rows {
            let cells: Vec<_> = names.iter().map(|broker| cell(broker).unwrap_or("?")).collect();
            line(&first, &cells);
        }
    }

    /// The names of brokers take two lines, parted at their commas.
    fn heading(&self, line: usize) -> Vec<String> {
        let part = |broker: &String| broker.splitn(2, ", ").nth(line).unwrap_or_default().to_owned();
        [String::new()].into_iter().chain(self.brokers.iter().map(part)).collect()
    }

    fn counts(&self, title: &str, is_in: impl Fn(&str) -> bool) -> Vec<String> {
        let counts = self.brokers.iter().map(|broker| self.count(broker, &is_in).to_string());
        [title.to_owned()].into_iter().chain(counts).collect()
    }

    fn count(&self, broker: &str, is_in: impl Fn(&str) -> bool) -> Count {
        let mut count = Count::default();
        for (_, verdicts) in self.laws.iter().filter(|((_, group, _), _)| is_in(group)) {
            let counted = match verdicts.get(broker) {
                Some(Verdict::Held) => &mut count.held,
                Some(Verdict::Broken) => &mut count.broken,
                Some(Verdict::NotAsked) => &mut count.not_asked,
                None => &mut count.unknown,
            };
            *counted += 1;
        }
        count
    }
}

/// What stands in the column of a broker.
type Cell<'a> = Box<dyn Fn(&str) -> Option<&'a str> + 'a>;

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let asked = self.held + self.broken;
        let parts = [
            (asked > 0).then(|| format!("{}/{asked}", self.held)),
            (self.broken > 0).then(|| "BROKEN".to_owned()),
            (self.not_asked > 0).then(|| format!("–{}", self.not_asked)),
            (self.unknown > 0).then(|| format!("?{}", self.unknown)),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

/// Columns of equal width.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Matrix {
        let mut matrix = Matrix::default();
        matrix
            .add(
                "law\tmemory\t10\torder\tlast\tHeld\nlaw\tmemory\t2\tsending\tfirst\tHeld\nlaw\tmemory\t3\tsending\tthen\tHeld\n\
                 law\tmemory, as a log\t2\tsending\tfirst\tAsked\nlaw\tmemory, as a log\t3\tsending\tthen\tNotAsked\n\
                 can\tmemory\t0\tdurability\tmemory\ncan\tanother\t0\tdurability\tsynced\n",
            )
            .unwrap();
        matrix
    }

    #[test]
    fn groups_are_lines_in_the_order_of_the_laws() {
        let expected = "Laws of the Broker contract, held/asked:\n\
                        \x20        memory  memory\n\
                        \x20                as a log\n\
                        sending  2/2     0/1 BROKEN –1\n\
                        order    1/1     ?1\n\
                        all      3/3     0/1 BROKEN –1 ?1\n\
                        –n: n laws were not asked, because the broker says that it cannot do what they need\n\
                        ?n: n laws that others were asked in this run\n\
                        broken: sending::first by memory, as a log\n";
        assert_eq!(matrix().by_group(), expected);
    }

    #[test]
    fn every_law_and_feature_is_a_row() {
        let text = matrix().in_full();
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        let expected = [
            "| law | memory | memory, as a log |",
            "| --- | --- | --- |",
            "| sending::first | holds | **broken** |",
            "| sending::then | holds | – |",
            "| order::last | holds | ? |",
            "| what it can do | memory | memory, as a log |",
            "| --- | --- | --- |",
            "| durability | memory | ? |",
        ];
        assert_eq!(rows, expected);
    }
}
