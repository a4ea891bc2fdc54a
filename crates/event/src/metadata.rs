//! What travels with an event besides the fact: correlation, causation, trace, user, tenant, and free entries.
//!
//! Stores keep metadata encoded and hand it out borrowed; the encoding is defined here once for all of them.

use std::collections::{BTreeMap, btree_map};

use crate::EventId;

/// A free entry's name has at most this many characters.
const MAX_KEY: usize = 64;

/// Attribute names with a meaning of their own in the CloudEvents form; they cannot name free entries.
const RESERVED: [&str; 19] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "data",
    "stream",
    "streamversion",
    "position",
    "recordedtime",
    "schemaversion",
    "tags",
    "correlationid",
    "causationid",
    "traceparent",
    "tracestate",
    "userid",
    "tenantid",
];

/// Begins the names of what is kept of a CloudEvent's own words. No CloudEvents attribute has a `:` in its name, so
/// these never meet an entry of a user.
const ORIGINAL: &str = "original:";

/// What travels with an event besides the fact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The conversation it belongs to: the id of the first event or command of the chain.
    pub correlation: Option<EventId>,
    /// What directly caused it.
    pub causation: Option<EventId>,
    /// The distributed trace it was produced in.
    pub trace: Option<TraceContext>,
    /// On whose behalf.
    pub user: Option<String>,
    /// For which tenant.
    pub tenant: Option<String>,
    free: BTreeMap<String, MetadataValue>,
}

/// A W3C trace context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The `traceparent` header, such as `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
    pub traceparent: String,
    /// The `tracestate` header, if there was one.
    pub tracestate: Option<String>,
}

/// The value of a free entry: the types that a CloudEvents attribute has in JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataValue {
    /// Text, a URI, a time, or base64.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// True or false.
    Boolean(bool),
}

/// Why a free entry cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The name breaks the rules that CloudEvents sets for attributes.
    #[error("`{0}` cannot name metadata: use 1 to 64 lower-case letters and digits")]
    Key(String),
    /// The name has a meaning of its own.
    #[error("`{0}` cannot name metadata: it is an attribute of the event itself")]
    Reserved(String),
}

impl Metadata {
    /// Adds or replaces a free entry.
    ///
    /// # Errors
    /// [`MetadataError`] when `key` is not made of 1 to 64 lower-case letters and digits, or is an attribute that every
    /// event has.
    pub fn insert(&mut self, key: &str, value: MetadataValue) -> Result<(), MetadataError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(plain) {
            return Err(MetadataError::Key(key.to_owned()));
        }
        if Self::is_reserved(key) {
            return Err(MetadataError::Reserved(key.to_owned()));
        }
        self.free.insert(key.to_owned(), value);
        Ok(())
    }

    /// The free entry `key`.
    pub fn get(&self, key: &str) -> Option<&MetadataValue> {
        self.free.get(key)
    }

    /// What the CloudEvent that this event came from said in `attribute`, where it had to be taken in other words: for
    /// instance the `id` that is not a UUID.
    pub fn original(&self, attribute: &str) -> Option<&MetadataValue> {
        self.free.get(&format!("{ORIGINAL}{attribute}"))
    }

    /// The free entries by name, with what [`Metadata::original`] finds under `original:` and the attribute.
    pub fn entries(&self) -> btree_map::Iter<'_, String, MetadataValue> {
        self.free.iter()
    }

    /// How many bytes [`encode`](Self::encode) writes.
    pub fn encoded_len(&self) -> usize {
        let mut length = 0;
        self.visit(|_, value| length += 5 + value.len());
        length
    }

    /// Whether `key` is an attribute that cannot name a free entry.
    pub(crate) fn is_reserved(key: &str) -> bool {
        RESERVED.contains(&key)
    }

    /// Keeps what a CloudEvent said in `attribute`.
    pub(crate) fn keep_original(&mut self, attribute: &str, value: MetadataValue) {
        self.free.insert(format!("{ORIGINAL}{attribute}"), value);
    }

    /// What is kept by [`Metadata::keep_original`], by attribute.
    pub(crate) fn originals(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.free.iter().filter_map(|(key, value)| key.strip_prefix(ORIGINAL).map(|attribute| (attribute, value)))
    }

    /// The free entries that were inserted by name.
    pub(crate) fn plain(&self) -> impl Iterator<Item = (&str, &MetadataValue)> {
        self.free.iter().filter(|(key, _)| !key.starts_with(ORIGINAL)).map(|(key, value)| (key.as_str(), value))
    }

    /// Appends the encoding that [`MetadataRef`] reads: nothing for empty metadata; otherwise for each field one byte
    /// that says which, a little-endian length of four bytes, and the value.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.visit(|field, value| {
            let length = u32::try_from(value.len()).expect("an event is smaller than 4 GiB");
            out.push(field);
            out.extend_from_slice(&length.to_le_bytes());
            out.extend_from_slice(value);
        });
    }

    /// Shows every present field and its value in the order of the encoding.
    fn visit(&self, mut field: impl FnMut(u8, &[u8])) {
        let ids = [(CORRELATION, self.correlation), (CAUSATION, self.causation)];
        for (name, id) in ids {
            if let Some(id) = id {
                field(name, &id.to_bytes());
            }
        }
        let trace = self.trace.as_ref();
        let texts = [
            (TRACEPARENT, trace.map(|trace| trace.traceparent.as_str())),
            (TRACESTATE, trace.and_then(|trace| trace.tracestate.as_deref())),
            (USER, self.user.as_deref()),
            (TENANT, self.tenant.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                field(name, text.as_bytes());
            }
        }
        for (key, value) in &self.free {
            field(KEY, key.as_bytes());
            match value {
                MetadataValue::Text(text) => field(TEXT, text.as_bytes()),
                MetadataValue::Integer(number) => field(INTEGER, &number.to_le_bytes()),
                MetadataValue::Boolean(flag) => field(BOOLEAN, &[u8::from(*flag)]),
            }
        }
    }
}

const CORRELATION: u8 = 1;
const CAUSATION: u8 = 2;
const TRACEPARENT: u8 = 3;
const TRACESTATE: u8 = 4;
const USER: u8 = 5;
const TENANT: u8 = 6;
/// Names the entry whose value follows.
const KEY: u8 = 7;
const TEXT: u8 = 8;
const INTEGER: u8 = 9;
const BOOLEAN: u8 = 10;

/// Encoded metadata, borrowed from a batch. Stores verify the bytes by checksum; a field that still cannot be read
/// counts as absent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MetadataRef<'a>(&'a [u8]);

impl<'a> MetadataRef<'a> {
    /// Wraps what [`Metadata::encode`] wrote.
    pub fn new(encoded: &'a [u8]) -> Self {
        Self(encoded)
    }

    /// The encoding.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The conversation it belongs to.
    pub fn correlation(&self) -> Option<EventId> {
        self.field(CORRELATION).and_then(id)
    }

    /// What directly caused it.
    pub fn causation(&self) -> Option<EventId> {
        self.field(CAUSATION).and_then(id)
    }

    /// The W3C `traceparent`.
    pub fn traceparent(&self) -> Option<&'a str> {
        self.field(TRACEPARENT).and_then(text)
    }

    /// On whose behalf.
    pub fn user(&self) -> Option<&'a str> {
        self.field(USER).and_then(text)
    }

    /// For which tenant.
    pub fn tenant(&self) -> Option<&'a str> {
        self.field(TENANT).and_then(text)
    }

    /// An owned copy.
    pub fn to_owned(&self) -> Metadata {
        let mut metadata = Metadata::default();
        let mut key = None;
        for (field, value) in self.fields() {
            let string = || text(value).map(str::to_owned);
            match field {
                CORRELATION => metadata.correlation = id(value),
                CAUSATION => metadata.causation = id(value),
                TRACEPARENT => {
                    metadata.trace = string().map(|traceparent| TraceContext { traceparent, tracestate: None });
                }
                TRACESTATE => {
                    if let Some(trace) = &mut metadata.trace {
                        trace.tracestate = string();
                    }
                }
                USER => metadata.user = string(),
                TENANT => metadata.tenant = string(),
                KEY => key = string(),
                _ => {
                    if let (Some(key), Some(value)) = (key.take(), free_value(field, value)) {
                        metadata.free.insert(key, value);
                    }
                }
            }
        }
        metadata
    }

    fn field(&self, wanted: u8) -> Option<&'a [u8]> {
        self.fields().find(|(field, _)| *field == wanted).map(|(_, value)| value)
    }

    fn fields(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<5>()?;
            let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let (value, next) = tail.split_at_checked(length)?;
            rest = next;
            Some((head[0], value))
        })
    }
}

impl std::fmt::Debug for MetadataRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.to_owned().fmt(f)
    }
}

fn id(value: &[u8]) -> Option<EventId> {
    value.try_into().ok().map(EventId::from_bytes)
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn free_value(field: u8, value: &[u8]) -> Option<MetadataValue> {
    match field {
        TEXT => text(value).map(|text| MetadataValue::Text(text.to_owned())),
        INTEGER => value.try_into().ok().map(|bytes| MetadataValue::Integer(i64::from_le_bytes(bytes))),
        BOOLEAN => value.first().map(|flag| MetadataValue::Boolean(*flag != 0)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_its_encoding() {
        let mut metadata = Metadata {
            correlation: Some(EventId::new()),
            causation: Some(EventId::new()),
            trace: Some(TraceContext { traceparent: "00-a-b-01".into(), tracestate: Some("x=1".into()) }),
            user: Some("ada".into()),
            tenant: Some(String::new()),
            ..Metadata::default()
        };
        metadata.insert("subject", MetadataValue::Text("Ω".into())).unwrap();
        metadata.insert("retries", MetadataValue::Integer(-3)).unwrap();
        metadata.insert("test", MetadataValue::Boolean(true)).unwrap();
        let mut encoded = Vec::new();
        metadata.encode(&mut encoded);
        let borrowed = MetadataRef::new(&encoded);
        assert_eq!(borrowed.to_owned(), metadata);
        assert_eq!(encoded.len(), metadata.encoded_len());
        assert_eq!(borrowed.correlation(), metadata.correlation);
        assert_eq!(borrowed.user(), Some("ada"));
        for cut in 0..encoded.len() {
            let _ = MetadataRef::new(&encoded[..cut]).to_owned(); // Damage must not panic.
        }
    }

    #[test]
    fn empty_metadata_takes_no_room() {
        let mut encoded = Vec::new();
        Metadata::default().encode(&mut encoded);
        assert!(encoded.is_empty());
    }

    #[test]
    fn entries_are_named_as_cloud_events_attributes() {
        let mut metadata = Metadata::default();
        let mut insert = |key: &str| metadata.insert(key, MetadataValue::Boolean(true));
        assert_eq!(insert("Upper"), Err(MetadataError::Key("Upper".into())));
        assert_eq!(insert(""), Err(MetadataError::Key(String::new())));
        assert_eq!(insert("position"), Err(MetadataError::Reserved("position".into())));
        assert_eq!(insert("subject"), Ok(()));
    }
}
