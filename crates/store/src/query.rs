//! Which events: one plain, serialisable value for reads, follow and checks.

use mainspring_event::{Category, EventId, EventRef, EventTypeName, StreamName, Tag};
use serde::{Deserialize, Serialize};

/// A selection of events.
///
/// Internal streams (their names begin with `$`) match only where a stream or a category names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// Every event that is not internal.
    All,
    /// Every event that matches at least one item; none where there is no item.
    Items(Vec<QueryItem>),
    /// The events with these ids.
    Ids(Vec<EventId>),
}

/// One alternative of a query: in scope, of any of the types, with all of the tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueryItem {
    /// In which streams.
    pub scope: Scope,
    /// Of any of these types; of every type where there is none.
    pub types: Vec<EventTypeName>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
}

/// In which streams an item looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// In every stream that is not internal.
    #[default]
    Everywhere,
    /// In these streams.
    Streams(Vec<StreamName>),
    /// In the streams of this category.
    Category(Category),
}

impl Query {
    /// The events of one stream.
    pub fn stream(stream: StreamName) -> Self {
        QueryItem { scope: Scope::Streams(vec![stream]), ..QueryItem::default() }.into()
    }

    /// The events of one category.
    pub fn category(category: Category) -> Self {
        QueryItem { scope: Scope::Category(category), ..QueryItem::default() }.into()
    }

    /// The events of any of these types.
    pub fn types(types: impl IntoIterator<Item = EventTypeName>) -> Self {
        QueryItem { types: types.into_iter().collect(), ..QueryItem::default() }.into()
    }

    /// The events with all of these tags.
    pub fn tags(tags: impl IntoIterator<Item = Tag>) -> Self {
        QueryItem { tags: tags.into_iter().collect(), ..QueryItem::default() }.into()
    }

    /// The stream, if this selects a part of exactly one.
    pub fn single_stream(&self) -> Option<&StreamName> {
        match self {
            Self::Items(items) => match items.as_slice() {
                [QueryItem { scope: Scope::Streams(streams), .. }] => match streams.as_slice() {
                    [stream] => Some(stream),
                    _ => None,
                },
                _ => None,
            },
            Self::All | Self::Ids(_) => None,
        }
    }

    /// Whether `event` is selected: the definition that every store's index must agree with.
    pub fn matches(&self, event: &EventRef<'_>) -> bool {
        match self {
            Self::All => !event.is_internal(),
            Self::Items(items) => items.iter().any(|item| item.matches(event)),
            Self::Ids(ids) => ids.contains(&event.id),
        }
    }
}

impl From<QueryItem> for Query {
    fn from(item: QueryItem) -> Self {
        Self::Items(vec![item])
    }
}

impl QueryItem {
    fn matches(&self, event: &EventRef<'_>) -> bool {
        let in_scope = match &self.scope {
            Scope::Everywhere => !event.is_internal(),
            Scope::Streams(streams) => streams.iter().any(|stream| stream.as_str() == event.stream),
            Scope::Category(category) => category.as_str() == event.category(),
        };
        in_scope
            && (self.types.is_empty() || self.types.iter().any(|name| name.as_str() == event.event_type))
            && self.tags.iter().all(|wanted| event.tags.iter().any(|tag| tag == wanted.as_str()))
    }
}
