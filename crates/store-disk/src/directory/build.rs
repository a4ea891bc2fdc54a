//! The run of one segment, from its index file.

use std::{io, sync::Arc};

use super::{
    hash::{Key, Topic},
    run::{Identity, Run},
    write::RunWriter,
};
use crate::{
    bell::Bell,
    disk::Disk,
    format::frame::Kind,
    index::{Index, MappedIndex, milliseconds},
    names::Names,
};

/// Writes the run of the segment that has this index. Takes memory for the hashes of one topic of it at a time.
///
/// # Errors
/// What the machine says; also when the index proves damaged, which the next look-up in it mends.
pub(super) fn build(disk: &dyn Disk, bell: &Arc<Bell>, identity: Identity, index: &MappedIndex) -> io::Result<Run> {
    // Before a run is begun from it: what is damaged would answer as if it were empty.
    index.names(true).map_err(io::Error::other)?;
    let mut writer = RunWriter::create(disk, identity)?;
    let written = Topic::ALL.iter().try_for_each(|topic| {
        let mut hashes = hashes(*topic, index);
        hashes.sort_unstable();
        writer.begin_topic(*topic, hashes.len())?;
        hashes.into_iter().try_for_each(|hash| writer.push(hash, identity.first))?;
        writer.end_topic();
        if index.is_damaged() { Err(io::Error::other("the index of the segment is damaged")) } else { Ok(()) }
    });
    match written {
        Ok(()) => writer.finish(bell),
        Err(error) => {
            writer.abandon();
            Err(error)
        }
    }
}

fn hashes(topic: Topic, index: &MappedIndex) -> Vec<u64> {
    let names = |kind: Kind| (0..index.names_of(kind)).map(move |code| index.name(kind, code));
    match topic {
        Topic::Stream => names(Kind::Stream).map(|name| Key::stream(name).hash).collect(),
        Topic::Tag => names(Kind::Tag).map(|name| Key::tag(name).hash).collect(),
        Topic::Id if !index.id_hint().has_others() => Vec::new(),
        Topic::Id => index.ids().filter(|id| milliseconds(*id).is_none()).map(|id| Key::id(id).hash).collect(),
    }
}
