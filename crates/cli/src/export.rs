//! Writing the events of a store as CloudEvents, one a line: what `import` reads, and every other program.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use futures_util::StreamExt as _;
use mainspring::{
    disk::DiskStore,
    event::{Category, cloud_events},
    store::{EventStore as _, Query, QueryItem, Read, Scope},
};

use crate::{exit::Exit, message, open, output::Output, units};

#[derive(clap::Args)]
#[command(after_help = "\
Events keep everything: positions, versions and recorded times too, so that importing them into an empty store gives the
same events, and exporting them again the same bytes. Rules of retention and tombstones are not events and not exported.")]
pub(crate) struct Args {
    /// Write to this file, which appears when it is complete.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Internal events, too (their streams begin with `$`).
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let store = open::for_reading(directory)?;
    let query = if args.all { everything(&store)? } else { Query::All };
    let exported = match &args.output {
        None => write(&store, query, |json| Ok(output.bytes(json)?)).await?,
        Some(file) => {
            let shown = file.display();
            let exported = to_file(&store, query, file).await;
            exported.with_context(|| format!("{shown} cannot be written; it is as it was before"))?
        }
    };
    message::note(&format!("{} exported", units::count(exported, "event")));
    Ok(Exit::Done)
}

/// Every event, internal ones included: these are selected only where their categories are named.
fn everything(store: &DiskStore) -> anyhow::Result<Query> {
    let streams = store.streams()?;
    let internal = streams.iter().filter(|stream| stream.name.is_internal());
    let categories: BTreeSet<_> = internal.map(|stream| stream.name.category()).collect();
    let mut items = vec![QueryItem::default()];
    for category in categories {
        let category = Category::new(category).context("an internal stream has a name that is not one")?;
        items.push(QueryItem { scope: Scope::Category(category), ..QueryItem::default() });
    }
    Ok(Query::Items(items))
}

/// Hands over the events line by line; answers how many there were.
async fn write(
    store: &DiskStore,
    query: Query,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<u64> {
    let mut exported = 0;
    let mut json = Vec::new();
    let mut batches = store.read(Read::new(query));
    while let Some(batch) = batches.next().await {
        for event in batch?.iter() {
            json.clear();
            cloud_events::write_json(event, &mut json);
            json.push(b'\n');
            take(&json)?;
            exported += 1;
        }
    }
    Ok(exported)
}

/// Writes to a file of another name first, so that nobody takes a part for the whole.
async fn to_file(store: &DiskStore, query: Query, file: &Path) -> anyhow::Result<u64> {
    let mut partial = OsString::from(file);
    partial.push(".partial");
    let exported = async {
        let mut writer = BufWriter::new(File::create(&partial)?);
        let exported = write(store, query, |json| Ok(writer.write_all(json)?)).await?;
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&partial, file)?;
        Ok(exported)
    };
    let exported: anyhow::Result<u64> = exported.await;
    if exported.is_err()
        && let Err(error) = fs::remove_file(&partial)
        && error.kind() != io::ErrorKind::NotFound
    {
        message::warning(&format!("{} is left behind: {error}", Path::new(&partial).display()));
    }
    exported
}
