//! The read models of the directory: how far each one is, and building one of them anew.

use std::path::Path;

use anyhow::bail;
use mainspring::{
    event::Position,
    sqlite::{ReadModel, State, Views},
    store::{EventStore as _, Info},
};
use mainspring_shop::projections::{PROJECTIONS, Rebuild, VIEWS, rebuild};
use serde::Serialize;

use crate::{
    bar::Bar,
    exit::Exit,
    message, open,
    output::{Output, OutputError},
    table::{Column, Table},
    units,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the read models, which is done without a word, too.
    List,
    /// Build a read model anew: one of the demo now, any other when its program runs next. Until that is done readers see
    /// the present one.
    Rebuild {
        /// Which one.
        name: String,
    },
}

/// One generation of a read model on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    version: u32,
    generation: u32,
    state: &'static str,
    /// `null` where nothing was built yet.
    checkpoint: Option<u64>,
    /// Positions behind the head; `null` where it is not to follow any more, or was made from another history.
    lag: Option<u64>,
    bytes: u64,
    rebuild_asked: bool,
}

/// The answer to a rebuild.
#[derive(Serialize)]
struct Answer<'a> {
    name: &'a str,
    #[serde(flatten)]
    outcome: &'a Rebuild,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let info = open::for_reading(directory)?.info().await?;
    let place = directory.join(VIEWS);
    // Looking creates nothing.
    let views = if place.is_dir() { Some(Views::open(&place).await?) } else { None };
    match (args.action.unwrap_or(Action::List), views) {
        (Action::List, None) => message::note("there are no read models yet; `mainspring demo` makes some"),
        (Action::List, Some(views)) => list(&views, &info, output).await?,
        (Action::Rebuild { name }, None) => {
            bail!("there is no read model `{name}`, nor any other; `mainspring demo` makes some")
        }
        (Action::Rebuild { name }, Some(views)) => {
            if PROJECTIONS.iter().any(|(known, _)| *known == name) {
                build(directory, &name, output).await?;
            } else {
                views.rebuild(&name).await?;
                let when = "it is built anew when its program runs next; until then readers see the present one";
                answer(&name, &Rebuild::Recorded, when, output)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Builds a read model of the demo, with its progress on the terminal.
async fn build(directory: &Path, name: &str, output: &mut Output) -> anyhow::Result<()> {
    let (bar, what) = (Bar::on_terminal(), format!("build {name}"));
    let rebuilt = rebuild(directory, name, |at, head| bar.step(&what, at, head)).await;
    bar.clear();
    let outcome = rebuilt?;
    let text = match outcome {
        Rebuild::Done { generation, position, seconds } => {
            let position = units::number(position);
            format!("generation {generation} was built up to position {position} in {seconds:.2} s; readers see it now")
        }
        Rebuild::Recorded => {
            "another process keeps it up to date, and it is built anew at its next run; until then readers see the \
             present one"
                .to_owned()
        }
    };
    Ok(answer(name, &outcome, &text, output)?)
}

fn answer(name: &str, outcome: &Rebuild, text: &str, output: &mut Output) -> Result<(), OutputError> {
    if output.is_json() { output.json(&Answer { name, outcome }) } else { output.line(&format!("{name}: {text}")) }
}

async fn list(views: &Views, info: &Info, output: &mut Output) -> anyhow::Result<()> {
    let models = views.list().await?;
    let lines: Vec<_> = models.iter().map(|model| line(model, info)).collect();
    if output.is_json() {
        for line in &lines {
            output.json(line)?;
        }
    } else if !lines.is_empty() {
        let columns = [
            Column::Left("NAME"),
            Column::Right("VERSION"),
            Column::Right("GENERATION"),
            Column::Left("STATE"),
            Column::Right("CHECKPOINT"),
            Column::Right("LAG"),
            Column::Right("SIZE"),
        ];
        let rows: Vec<_> = lines.iter().map(row).collect();
        output.bytes(Table::new(columns).render(&rows, output.style()).as_bytes())?;
    }
    for model in &models {
        if let Some(Err(error)) = model.checkpoint.map(|checkpoint| info.admits(&checkpoint)) {
            message::warning(&format!("{} ({}): {error}", model.name, model.generation));
        }
    }
    Ok(())
}

fn line<'a>(model: &'a ReadModel, info: &Info) -> Line<'a> {
    let follows =
        model.state != State::Retired && model.checkpoint.is_none_or(|checkpoint| info.admits(&checkpoint).is_ok());
    let at = model.checkpoint.map(|checkpoint| checkpoint.position);
    Line {
        name: &model.name,
        version: model.generation.version,
        generation: model.generation.number,
        state: match model.state {
            State::Current => "current",
            State::Building => "building",
            State::Retired => "retired",
        },
        checkpoint: at.map(|at| at.0),
        lag: follows.then(|| info.head.0.saturating_sub(at.unwrap_or(Position::START).0)),
        bytes: model.bytes,
        rebuild_asked: model.rebuild_asked,
    }
}

fn row(line: &Line<'_>) -> [String; 7] {
    let known = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), units::number);
    let asked = line.rebuild_asked && line.state == "current";
    let state = if asked { format!("{}, rebuild asked for", line.state) } else { line.state.to_owned() };
    [
        line.name.to_owned(),
        line.version.to_string(),
        line.generation.to_string(),
        state,
        known(line.checkpoint),
        known(line.lag),
        units::bytes(line.bytes),
    ]
}
