//! Writes down what came of each law and what each broker can do, for a table of all brokers: they are tested by programs
//! that do not know each other. `cargo xtask test` asks for it and reads it.

use std::{
    env,
    fs::{File, OpenOptions},
    io::Write,
    path::PathBuf,
    process,
    sync::{Mutex, OnceLock, PoisonError},
};

use mainspring_broker::{Capabilities, Durability, Feature, Support};

use super::laws::LAWS;

/// Names a directory in which each program writes a file of its own. Nothing is written where it is not set.
const VARIABLE: &str = "MAINSPRING_BROKER_LAWS";

static REPORT: OnceLock<Option<Mutex<File>>> = OnceLock::new();

/// What came of a law.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// It is being asked. It is broken when nothing follows.
    Asked,
    Held,
    /// The broker cannot do what it needs.
    NotAsked,
}

/// Writes down what came of the law `group::name`.
///
/// # Panics
/// When that is wanted and not possible.
pub(crate) fn law(broker: &str, group: &str, name: &str, stage: Stage) {
    // The number keeps the order of the laws, which are asked in any.
    let number = LAWS.iter().position(|law| law.group == group && law.name == name).unwrap_or(LAWS.len());
    write(|| format!("law\t{broker}\t{number}\t{group}\t{name}\t{stage:?}\n"));
}

/// Writes down what a broker says that it can do.
///
/// # Panics
/// When that is wanted and not possible.
pub(crate) fn capabilities(broker: &str, can: &Capabilities) {
    write(|| {
        let lines = rows(can).into_iter().enumerate();
        lines.map(|(number, (title, value))| format!("can\t{broker}\t{number}\t{title}\t{value}\n")).collect()
    });
}

/// All in one piece: other threads write, too.
fn write(lines: impl FnOnce() -> String) {
    let file = REPORT.get_or_init(|| {
        let path = PathBuf::from(env::var_os(VARIABLE)?).join(process::id().to_string());
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Some(Mutex::new(file.unwrap_or_else(|error| panic!("{VARIABLE}: cannot create {}: {error}", path.display()))))
    });
    if let Some(file) = file {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(lines().as_bytes()).unwrap_or_else(|error| panic!("{VARIABLE}: cannot write: {error}"));
    }
}

fn rows(can: &Capabilities) -> Vec<(String, &'static str)> {
    let mut rows = vec![
        ("durability".to_owned(), durability(can.durability)),
        ("gapless".to_owned(), if can.gapless { "yes" } else { "no" }),
    ];
    rows.extend(Feature::ALL.into_iter().map(|feature| (feature.to_string(), support(can.support(feature)))));
    rows
}

fn durability(durability: Durability) -> &'static str {
    match durability {
        Durability::Memory => "memory",
        Durability::Replicated => "replicated",
        Durability::Synced => "synced",
    }
}

fn support(support: Support) -> &'static str {
    match support {
        Support::Native => "native",
        Support::Emulated => "emulated",
        Support::Refused => "refused",
    }
}

#[cfg(test)]
mod tests {
    use mainspring_broker::Limits;

    use super::*;

    #[test]
    fn what_a_broker_can_do_is_a_row_for_each_feature() {
        let can = Capabilities {
            emulated: vec![Feature::Sessions],
            refused: vec![Feature::Replay],
            durability: Durability::Synced,
            gapless: true,
            limits: Limits::default(),
        };
        let rows = rows(&can);
        assert_eq!(rows.len(), 2 + Feature::ALL.len());
        assert_eq!(rows[..2], [("durability".to_owned(), "synced"), ("gapless".to_owned(), "yes")]);
        let of = |feature: Feature| rows.iter().find(|(title, _)| *title == feature.to_string()).map(|row| row.1);
        assert_eq!(of(Feature::Sessions), Some("emulated"));
        assert_eq!(of(Feature::Replay), Some("refused"));
        assert_eq!(of(Feature::Delay), Some("native"));
    }
}
