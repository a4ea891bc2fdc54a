//! Finds the events of one segment that a query selects, by its index alone.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

use mainspring_event::Tag;
use mainspring_store::{Query, QueryItem, Scope};

use crate::{
    format::frame::Kind,
    index::{Index, List, Postings},
};

/// What was found, and how far looking came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Matching events, in the direction of the search.
    pub(crate) ordinals: Vec<u32>,
    /// The last event looked at when the search stopped before the end of the range.
    pub(crate) stopped: Option<u32>,
}

/// How much to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Stop at the end of the commit in which so many are found.
    pub(crate) batch: usize,
    /// Stop at once when so many are found.
    pub(crate) limit: u64,
}

/// Searches `range` for what `query` selects.
pub(crate) fn select(index: &dyn Index, query: &Query, range: Range<u32>, backwards: bool, wanted: Wanted) -> Found {
    let plan = Plan::new(index, query);
    let mut collected = Collected { index, wanted, backwards, ordinals: Vec::new(), commit: 0..0 };
    let stopped = match &plan {
        Plan::Range { internal } => {
            let internal = |ordinal: &u32| internal.get(category_of(index, *ordinal) as usize) == Some(&true);
            let skip = plan.skips();
            collected.all(walk(range, backwards).filter(|ordinal| !skip || !internal(ordinal)))
        }
        Plan::Ordinals(ordinals) => {
            let within = ordinals.iter().copied().filter(|ordinal| range.contains(ordinal));
            if backwards { collected.all(within.rev()) } else { collected.all(within) }
        }
        Plan::Items(items) => collected.all(Candidates::new(index, items, range, backwards)),
    };
    Found { ordinals: collected.ordinals, stopped }
}

/// Whether any event of `range` is selected: the first one.
pub(crate) fn first(index: &dyn Index, query: &Query, range: Range<u32>) -> Option<u32> {
    if is_ruled_out(index, query, &range) {
        return None;
    }
    select(index, query, range, false, Wanted { batch: 1, limit: 1 }).ordinals.first().copied()
}

/// Whether the ends of a few lists tell that no event of `range` is selected. Conditions mostly hold, and mostly for this.
fn is_ruled_out(index: &dyn Index, query: &Query, range: &Range<u32>) -> bool {
    let Query::Items(items) = query else { return false };
    let ends_before = |tag: &Tag| {
        let code = index.find(Kind::Tag, tag.as_str());
        code.and_then(|code| index.postings(List::Tag(code)).last()).is_none_or(|last| last < range.start)
    };
    items.iter().all(|item| item.tags.iter().any(ends_before))
}

fn walk(range: Range<u32>, backwards: bool) -> impl Iterator<Item = u32> {
    let (start, end) = (range.start, range.end);
    (start..end).map(move |ordinal| if backwards { end - 1 - (ordinal - start) } else { ordinal })
}

fn category_of(index: &dyn Index, ordinal: u32) -> u32 {
    index.category_of(index.stream_of(ordinal))
}

struct Collected<'a> {
    index: &'a dyn Index,
    wanted: Wanted,
    backwards: bool,
    ordinals: Vec<u32>,
    /// The ordinals of the commit that the last one found belongs to, once a batch is full.
    commit: Range<u32>,
}

impl Collected<'_> {
    /// Takes ordinals until enough are found; says where the search then stands.
    fn all(&mut self, ordinals: impl Iterator<Item = u32>) -> Option<u32> {
        for ordinal in ordinals {
            if self.ordinals.len() as u64 >= self.wanted.limit {
                return self.ordinals.last().copied();
            }
            if self.ordinals.len() >= self.wanted.batch {
                if self.commit.is_empty() {
                    let last = self.ordinals.last().copied().unwrap_or(ordinal);
                    self.commit = self.index.commit_of(last);
                }
                if !self.commit.contains(&ordinal) {
                    return Some(if self.backwards { self.commit.start } else { self.commit.end.saturating_sub(1) });
                }
            }
            self.ordinals.push(ordinal);
        }
        None
    }
}

/// A query in the codes of one segment.
enum Plan {
    /// Every event, but those of internal categories.
    Range {
        internal: Vec<bool>,
    },
    Ordinals(Vec<u32>),
    Items(Vec<Item>),
}

/// One item of a query in the codes of one segment.
struct Item {
    /// The events to look at: the union of these lists, or every event.
    lists: Vec<List>,
    everything: bool,
    /// Where the lists alone do not decide: the categories it may be in, its types, its tags.
    categories: Option<Vec<bool>>,
    streams: Option<Vec<u32>>,
    types: Option<Vec<u32>>,
    tags: Vec<u32>,
}

impl Plan {
    fn new(index: &dyn Index, query: &Query) -> Self {
        match query {
            Query::All => Self::Range { internal: internal(index) },
            Query::Ids(ids) => {
                let mut ordinals: Vec<u32> = ids.iter().filter_map(|id| index.find_id(*id)).collect();
                ordinals.sort_unstable();
                ordinals.dedup();
                Self::Ordinals(ordinals)
            }
            Query::Items(items) => Self::Items(items.iter().filter_map(|item| Item::new(index, item)).collect()),
        }
    }

    /// Whether a range has anything to leave out.
    fn skips(&self) -> bool {
        matches!(self, Self::Range { internal } if internal.contains(&true))
    }
}

/// Which categories are internal, by their codes.
fn internal(index: &dyn Index) -> Vec<bool> {
    (0..index.categories()).map(|code| index.category_name(code).starts_with('$')).collect()
}

impl Item {
    /// The item in codes; `None` where the segment lacks a name without which nothing matches.
    fn new(index: &dyn Index, item: &QueryItem) -> Option<Self> {
        let tags = item.tags.iter().map(|tag| index.find(Kind::Tag, tag.as_str())).collect::<Option<Vec<_>>>()?;
        let types: Vec<u32> = item.types.iter().filter_map(|name| index.find(Kind::Type, name.as_str())).collect();
        if types.is_empty() && !item.types.is_empty() {
            return None;
        }
        let types = (!item.types.is_empty()).then_some(types);
        let mut plan = Self { lists: Vec::new(), everything: false, categories: None, streams: None, types, tags };
        match &item.scope {
            Scope::Everywhere => {
                let external: Vec<bool> = internal(index).into_iter().map(|internal| !internal).collect();
                plan.categories = external.contains(&false).then_some(external);
            }
            Scope::Category(category) => {
                let code = index.find_category(category.as_str())?;
                plan.categories = Some((0..index.categories()).map(|other| other == code).collect());
                plan.lists.push(List::Category(code));
            }
            Scope::Streams(streams) => {
                let codes: Vec<u32> =
                    streams.iter().filter_map(|stream| index.find(Kind::Stream, stream.as_str())).collect();
                if codes.is_empty() {
                    return None;
                }
                plan.lists = codes.iter().map(|code| List::Stream(*code)).collect();
                plan.streams = Some(codes);
            }
        }
        plan.choose_lists(index);
        Some(plan)
    }

    /// Looks at as few events as possible, and checks of each only what its list does not imply.
    fn choose_lists(&mut self, index: &dyn Index) {
        let length = |lists: &[List]| lists.iter().map(|list| index.postings(*list).len()).sum::<usize>();
        let by_tag = self.tags.iter().map(|tag| vec![List::Tag(*tag)]);
        let by_type = self.types.iter().map(|types| types.iter().map(|code| List::Type(*code)).collect());
        let by_scope = (!self.lists.is_empty()).then(|| self.lists.clone());
        let candidates = by_tag.chain(by_type).chain(by_scope);
        match candidates.min_by_key(|lists: &Vec<List>| length(lists)) {
            Some(lists) => self.lists = lists,
            None => self.everything = true,
        }
        match self.lists.first() {
            Some(List::Tag(chosen)) => self.tags.retain(|tag| tag != chosen),
            Some(List::Type(_)) => self.types = None,
            Some(List::Stream(_)) => self.streams = None,
            Some(List::Category(_)) => self.categories = None,
            None => {}
        }
    }

    fn matches(&self, index: &dyn Index, ordinal: u32) -> bool {
        self.categories.as_ref().is_none_or(|wanted| wanted.get(category_of(index, ordinal) as usize) == Some(&true))
            && self.streams.as_ref().is_none_or(|wanted| wanted.contains(&index.stream_of(ordinal)))
            && self.types.as_ref().is_none_or(|wanted| wanted.contains(&index.type_of(ordinal)))
            && self.tags.iter().all(|tag| index.postings(List::Tag(*tag)).contains(ordinal))
    }
}

/// The events that the items of a query select, each once, in order.
struct Candidates<'a> {
    index: &'a dyn Index,
    items: &'a [Item],
    sources: Vec<Source<'a>>,
    /// The next ordinal of each source; backwards its complement, so that the order turns round.
    next: BinaryHeap<Reverse<(u32, usize)>>,
    backwards: bool,
    last: Option<u32>,
}

/// Where candidates of an item come from.
struct Source<'a> {
    item: usize,
    ordinals: Ordinals<'a>,
}

enum Ordinals<'a> {
    List(Postings<'a>, Range<usize>),
    Range(Range<u32>),
}

impl<'a> Candidates<'a> {
    fn new(index: &'a dyn Index, items: &'a [Item], range: Range<u32>, backwards: bool) -> Self {
        let mut sources = Vec::new();
        for (item, plan) in items.iter().enumerate() {
            if plan.everything {
                sources.push(Source { item, ordinals: Ordinals::Range(range.clone()) });
            }
            for list in &plan.lists {
                let postings = index.postings(*list);
                let within = postings.below(range.start)..postings.below(range.end);
                sources.push(Source { item, ordinals: Ordinals::List(postings, within) });
            }
        }
        let mut candidates = Self { index, items, sources, next: BinaryHeap::new(), backwards, last: None };
        for source in 0..candidates.sources.len() {
            candidates.advance(source);
        }
        candidates
    }

    fn advance(&mut self, source: usize) {
        let backwards = self.backwards;
        let ordinal = match &mut self.sources[source].ordinals {
            Ordinals::List(postings, within) => {
                let index = if backwards { within.next_back() } else { within.next() };
                index.map(|index| postings.get(index))
            }
            Ordinals::Range(range) => {
                if backwards {
                    range.next_back()
                } else {
                    range.next()
                }
            }
        };
        if let Some(ordinal) = ordinal {
            self.next.push(Reverse((if backwards { !ordinal } else { ordinal }, source)));
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            let Reverse((key, source)) = self.next.pop()?;
            let ordinal = if self.backwards { !key } else { key };
            self.advance(source);
            let item = &self.items[self.sources[source].item];
            if self.last != Some(ordinal) && item.matches(self.index, ordinal) {
                self.last = Some(ordinal);
                return Some(ordinal);
            }
        }
    }
}
