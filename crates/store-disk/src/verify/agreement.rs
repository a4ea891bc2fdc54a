//! Whether an index file says what the log says.

use crate::{
    format::frame::Kind,
    index::{Index, List, MappedIndex, MemoryIndex},
    names::Names,
};

/// Whether an index file says the same as the index that the log makes.
pub(super) fn same(file: &MappedIndex, log: &MemoryIndex) -> bool {
    if (file.events(), file.frames(), file.categories()) != (log.events(), log.frames(), log.categories()) {
        return false;
    }
    let names = log.names();
    let kinds = [Kind::Stream, Kind::Type, Kind::Tag];
    let same_names = kinds
        .iter()
        .all(|kind| (0..names.len(*kind)).all(|code| file.find(*kind, names.name(*kind, code)) == Some(code)));
    let plain = [Kind::Source, Kind::ContentType];
    let same_texts =
        plain.iter().all(|kind| (0..names.len(*kind)).all(|code| file.name(*kind, code) == names.name(*kind, code)));
    let same_list = |list: List| {
        let (one, other) = (file.postings(list), log.postings(list));
        one.len() == other.len() && (0..one.len()).all(|at| one.get(at) == other.get(at))
    };
    let lists = (0..names.len(Kind::Stream))
        .map(List::Stream)
        .chain((0..names.len(Kind::Type)).map(List::Type))
        .chain((0..names.len(Kind::Tag)).map(List::Tag))
        .chain((0..log.categories()).map(List::Category));
    let same_events = (0..log.events()).all(|ordinal| {
        (file.offset(ordinal), file.stream_of(ordinal), file.type_of(ordinal))
            == (log.offset(ordinal), log.stream_of(ordinal), log.type_of(ordinal))
    });
    same_names
        && same_texts
        && same_events
        && lists.into_iter().all(same_list)
        && (0..names.len(Kind::Stream))
            .all(|code| (file.head(code), file.category_of(code)) == (log.head(code), log.category_of(code)))
        && (0..log.frames()).all(|at| file.frame(at) == log.frame(at))
        && log.ids().all(|(id, ordinal)| file.find_id(id) == Some(ordinal))
        && file.changes().is_ok_and(|changes| changes == log.changes())
}
