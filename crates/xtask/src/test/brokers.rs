//! The brokers side by side: which laws of the contract held for which of them in this run. Every test program that asks
//! laws writes down what came of them (`crates/conformance/src/broker/report.rs`), and nothing else is known here.

mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::cargo;

/// Tells the test programs where to write.
pub(super) const VARIABLE: &str = "MAINSPRING_BROKER_LAWS";

/// Where the test programs of one run write, for as long as it lives.
pub(super) struct Reports {
    dir: PathBuf,
    table: PathBuf,
}

/// What came of a law, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// The broker cannot do what the law needs.
    NotAsked,
    Held,
    /// It failed, or its program did not live to see its end.
    Broken,
}

/// Something in the order of the laws or of the features, with its names.
type Row = (usize, String, String);

/// All that was written in a run.
#[derive(Debug, Default, PartialEq)]
struct Matrix {
    /// Those whose laws were asked.
    brokers: BTreeSet<String>,
    /// By number, group and name; then by broker.
    laws: BTreeMap<Row, BTreeMap<String, Verdict>>,
    /// By number and title; then by broker.
    features: BTreeMap<(usize, String), BTreeMap<String, String>>,
}

impl Reports {
    /// Makes an empty place for them.
    pub(super) fn begin() -> Result<Self> {
        let target = cargo::metadata()?.target_directory;
        let dir = target.join(format!("broker-laws-{}", std::process::id()));
        fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self { dir, table: target.join("broker-matrix.md") })
    }

    /// What [`VARIABLE`] has to be.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Prints the laws by group and writes all of them to a file; `false` when no broker was asked anything.
    pub(super) fn print(&self) -> Result<bool> {
        let mut matrix = Matrix::default();
        for entry in fs::read_dir(&self.dir).with_context(|| format!("cannot list {}", self.dir.display()))? {
            let path = entry?.path();
            let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            matrix.add(&text).with_context(|| format!("cannot understand {}", path.display()))?;
        }
        if matrix.brokers.is_empty() {
            return Ok(false);
        }
        fs::write(&self.table, matrix.in_full()).with_context(|| format!("cannot write {}", self.table.display()))?;
        print!("\n{}", matrix.by_group());
        println!("each law, and what each broker can do: {}", self.table.display());
        Ok(true)
    }
}

impl Drop for Reports {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            println!("{} could not be deleted, delete it by hand: {error}", self.dir.display());
        }
    }
}

impl Matrix {
    /// Adds what one program wrote. Where two programs test the same broker the worse result counts.
    fn add(&mut self, text: &str) -> Result<()> {
        let mut verdicts = BTreeMap::new();
        for line in text.lines() {
            let known = self.line(line, &mut verdicts);
            known.with_context(|| format!("it is not known what `{line}` means"))?;
        }
        for ((law, broker), verdict) in verdicts {
            self.brokers.insert(broker.clone());
            let all = self.laws.entry(law).or_default().entry(broker).or_insert(verdict);
            *all = verdict.max(*all);
        }
        Ok(())
    }

    fn line(&mut self, line: &str, verdicts: &mut BTreeMap<(Row, String), Verdict>) -> Option<()> {
        match *line.split('\t').collect::<Vec<_>>() {
            ["law", broker, number, group, name, stage] => {
                let law = (number.parse().ok()?, group.to_owned(), name.to_owned());
                let verdict = match stage {
                    // It stays so where nothing follows.
                    "Asked" => Verdict::Broken,
                    "Held" => Verdict::Held,
                    "NotAsked" => Verdict::NotAsked,
                    _ => return None,
                };
                verdicts.insert((law, broker.to_owned()), verdict);
            }
            ["can", broker, number, title, value] => {
                let feature = self.features.entry((number.parse().ok()?, title.to_owned())).or_default();
                feature.insert(broker.to_owned(), value.to_owned());
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(matrix: &Matrix, broker: &str) -> Verdict {
        matrix.laws[&(0, "order".to_owned(), "a".to_owned())][broker]
    }

    #[test]
    fn a_law_that_was_asked_and_no_more_is_broken() {
        let mut matrix = Matrix::default();
        matrix
            .add("law\tone\t0\torder\ta\tAsked\nlaw\ttwo\t0\torder\ta\tAsked\nlaw\ttwo\t0\torder\ta\tHeld\n")
            .unwrap();
        assert_eq!(verdict(&matrix, "one"), Verdict::Broken);
        assert_eq!(verdict(&matrix, "two"), Verdict::Held);
    }

    #[test]
    fn the_worse_result_of_two_programs_counts() {
        let mut matrix = Matrix::default();
        let (broken, held) = ("law\tone\t0\torder\ta\tAsked\n", "law\tone\t0\torder\ta\tHeld\n");
        for text in [broken, held] {
            matrix.add(text).unwrap();
            assert_eq!(verdict(&matrix, "one"), Verdict::Broken);
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for line in ["law\tone\t0\torder\ta\tMaybe", "law\tone\tx\torder\ta\tHeld", "can\tone\t0\tdelay", "law"] {
            let error = format!("{:#}", Matrix::default().add(line).unwrap_err());
            assert!(error.contains("it is not known what"), "{error}");
        }
    }

    #[test]
    fn a_broker_that_was_not_asked_any_law_is_none() {
        let mut matrix = Matrix::default();
        matrix.add("can\tloses messages\t0\tdurability\tmemory\n").unwrap();
        assert!(matrix.brokers.is_empty());
    }
}
