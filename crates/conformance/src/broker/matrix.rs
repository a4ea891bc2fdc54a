//! Which broker can do what, and what a confirmation of it is worth, as a table.

use std::fmt::Write;

use mainspring_broker::{Capabilities, Durability, Feature, Support};

use super::{
    Backend,
    laws::LAWS,
    sample::{billing, with_groups},
    subject::Subject,
};

/// What these backends say that they can do, as a table in Markdown, with the durability at which they are tested and how
/// many laws are asked of each.
///
/// # Panics
/// When a backend cannot be opened.
pub async fn matrix(backends: &[&dyn Backend]) -> String {
    let mut columns = Vec::new();
    for backend in backends {
        let subject = Subject::with(*backend, &with_groups([billing()])).await;
        columns.push((*backend, subject.can().await));
    }
    let mut table = String::new();
    row(&mut table, "", &columns, |backend, _| backend.name().to_owned());
    row(&mut table, "---", &columns, |_, _| "---".to_owned());
    row(&mut table, "durability", &columns, |_, can| durability(can.durability).to_owned());
    row(&mut table, "gapless", &columns, |_, can| (if can.gapless { "yes" } else { "no" }).to_owned());
    for feature in Feature::ALL {
        row(&mut table, &feature.to_string(), &columns, |_, can| support(can.support(feature)).to_owned());
    }
    row(&mut table, "laws asked", &columns, |backend, _| {
        let lacking: Vec<_> = backend.opt_outs().iter().map(|opt_out| opt_out.lacks).collect();
        let asked = LAWS.iter().filter(|law| !law.needs.iter().any(|need| lacking.contains(need))).count();
        format!("{asked} of {}", LAWS.len())
    });
    table
}

fn row(
    table: &mut String,
    title: &str,
    columns: &[(&dyn Backend, Capabilities)],
    cell: impl Fn(&dyn Backend, &Capabilities) -> String,
) {
    let cells: Vec<_> = columns.iter().map(|(backend, can)| cell(*backend, can)).collect();
    writeln!(table, "| {title} | {} |", cells.join(" | ")).expect("a text takes a line");
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
