//! Writing: what an event says, attribute by attribute, with the words of the program it came from where they still
//! hold.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{
    Parsed,
    attributes::{self, NO_TIME, SPEC_VERSION},
    data::{FORM, Form},
};
use crate::{EventId, EventRef, Metadata, MetadataValue, NewEvent, Position, StoredEvent, Tags, Version};

/// An event on its way out; made from any form of event, borrowed.
pub struct Outgoing<'a> {
    id: EventId,
    stream: &'a str,
    event_type: &'a str,
    schema_version: u32,
    time: Timestamp,
    source: &'a str,
    content_type: &'a str,
    tags: Tags<'a>,
    metadata: Cow<'a, Metadata>,
    payload: &'a [u8],
    version: Option<Version>,
    position: Option<Position>,
    recorded: Option<Timestamp>,
}

/// An attribute's name and value.
pub(super) type Attribute = (&'static str, MetadataValue);

impl Outgoing<'_> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"specversion\":");
        put(out, &MetadataValue::Text(SPEC_VERSION.to_owned()));
        let attributes = self.attributes();
        let attributes = attributes.iter().map(|(name, value)| (*name, value));
        for (name, value) in attributes.chain(self.metadata.plain()) {
            // Names are lower-case letters and digits, so they need no escapes.
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            put(out, value);
        }
        let usual = Form::usual(self.content_type, self.payload);
        let original = self.metadata.original(FORM);
        let form = original.and_then(|form| Form::restored(form, self.content_type, self.payload));
        form.unwrap_or(usual).write(self.payload, out);
        out.push(b'}');
    }

    /// The attributes as this crate writes them; those that only say what is assumed without them are left out.
    pub(super) fn usual(&self) -> Vec<Attribute> {
        let text = |text: &dyn ToString| MetadataValue::Text(text.to_string());
        let metadata = &*self.metadata;
        let trace = metadata.trace.as_ref();
        let tracestate = trace.and_then(|trace| trace.tracestate.as_ref());
        let assumed = attributes::assumed_stream(self.source, metadata.get("subject"));
        let (placed, typed) = (self.stream != assumed.as_str(), !self.content_type.is_empty());
        let (evolved, tagged) = (self.schema_version != 1, !self.tags.is_empty());
        let attributes = [
            ("id", Some(text(&self.id))),
            ("source", Some(text(&self.source))),
            ("type", Some(text(&self.event_type))),
            ("time", Some(text(&self.time))),
            ("datacontenttype", typed.then(|| text(&self.content_type))),
            ("stream", placed.then(|| text(&self.stream))),
            ("streamversion", self.version.map(|version| text(&version))),
            ("position", self.position.map(|position| text(&position))),
            ("recordedtime", self.recorded.map(|time| text(&time))),
            ("schemaversion", evolved.then(|| MetadataValue::Integer(self.schema_version.into()))),
            ("tags", tagged.then(|| MetadataValue::Text(attributes::tags_text(self.tags.iter())))),
            ("correlationid", metadata.correlation.map(|id| text(&id))),
            ("causationid", metadata.causation.map(|id| text(&id))),
            ("traceparent", trace.map(|trace| text(&trace.traceparent))),
            ("tracestate", tracestate.map(|state| text(state))),
            ("userid", metadata.user.as_ref().map(|user| text(user))),
            ("tenantid", metadata.tenant.as_ref().map(|tenant| text(tenant))),
        ];
        attributes.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
    }

    /// The attributes as they are written: in the words of the program that the event came from, where they still mean
    /// what the event says.
    fn attributes(&self) -> Vec<Attribute> {
        let mut attributes = self.usual();
        for (name, original) in self.metadata.originals() {
            let Some(name) = RESTORABLE.into_iter().find(|known| *known == name) else { continue };
            if !self.still_means(name, original) {
                continue;
            }
            let absent = name == "time" && *original == absent();
            let at = attributes.iter().position(|(usual, _)| *usual == name);
            match (at, absent) {
                (Some(at), true) => drop(attributes.remove(at)),
                (Some(at), false) => attributes[at].1 = original.clone(),
                (None, true) => {}
                (None, false) => attributes.push((name, original.clone())),
            }
        }
        attributes
    }

    /// Whether reading `original` as the attribute `name` gives what the event has.
    fn still_means(&self, name: &str, original: &MetadataValue) -> bool {
        let metadata = &*self.metadata;
        let same_text = |field: Option<&String>| field.is_some_and(|text| *text == attributes::as_text(original));
        let trace = metadata.trace.as_ref();
        match (name, original) {
            ("id", MetadataValue::Text(text)) => attributes::id(self.source, text) == self.id,
            ("time", MetadataValue::Text(text)) if text.is_empty() => self.time == NO_TIME,
            ("time", MetadataValue::Text(text)) => attributes::time("time", text).is_ok_and(|time| time == self.time),
            ("datacontenttype", MetadataValue::Text(text)) => text == self.content_type,
            ("stream", MetadataValue::Text(text)) => text == self.stream,
            ("schemaversion", value) => attributes::schema_version(value).is_ok_and(|is| is == self.schema_version),
            ("tags", MetadataValue::Text(text)) => {
                attributes::tags(text).is_ok_and(|tags| tags.iter().map(crate::Tag::as_str).eq(self.tags.iter()))
            }
            ("correlationid", value) => attributes::reference(value) == metadata.correlation,
            ("causationid", value) => attributes::reference(value) == metadata.causation,
            ("traceparent", _) => same_text(trace.map(|trace| &trace.traceparent)),
            ("tracestate", _) => trace.is_none() || same_text(trace.and_then(|trace| trace.tracestate.as_ref())),
            ("userid", _) => same_text(metadata.user.as_ref()),
            ("tenantid", _) => same_text(metadata.tenant.as_ref()),
            _ => false,
        }
    }
}

/// The attributes whose original words are kept when they are not the ones this crate would use.
pub(super) const RESTORABLE: [&str; 12] = [
    "id",
    "time",
    "datacontenttype",
    "stream",
    "schemaversion",
    "tags",
    "correlationid",
    "causationid",
    "traceparent",
    "tracestate",
    "userid",
    "tenantid",
];

/// What is kept of an attribute that was absent; only `time` is ever written without having been there.
pub(super) fn absent() -> MetadataValue {
    MetadataValue::Text(String::new())
}

fn put(out: &mut Vec<u8>, value: &MetadataValue) {
    let written = match value {
        MetadataValue::Text(text) => serde_json::to_writer(out, text),
        MetadataValue::Integer(number) => serde_json::to_writer(out, number),
        MetadataValue::Boolean(flag) => serde_json::to_writer(out, flag),
    };
    written.expect("plain values can be written to memory as JSON");
}

impl<'a> From<&'a NewEvent> for Outgoing<'a> {
    fn from(event: &'a NewEvent) -> Self {
        Self {
            id: event.id,
            stream: event.stream.as_str(),
            event_type: event.event_type.as_str(),
            schema_version: event.schema_version,
            time: event.time,
            source: event.source.as_str(),
            content_type: &event.content_type,
            tags: Tags::owned(&event.tags),
            metadata: Cow::Borrowed(&event.metadata),
            payload: &event.payload,
            version: None,
            position: None,
            recorded: None,
        }
    }
}

impl<'a> From<&'a StoredEvent> for Outgoing<'a> {
    fn from(stored: &'a StoredEvent) -> Self {
        let StoredEvent { event, version, position, recorded } = stored;
        Self { version: Some(*version), position: Some(*position), recorded: Some(*recorded), ..Self::from(event) }
    }
}

impl<'a> From<&'a Parsed> for Outgoing<'a> {
    fn from(parsed: &'a Parsed) -> Self {
        let Parsed { event, version, position, recorded, .. } = parsed;
        Self { version: *version, position: *position, recorded: *recorded, ..Self::from(event) }
    }
}

impl<'a> From<EventRef<'a>> for Outgoing<'a> {
    fn from(event: EventRef<'a>) -> Self {
        Self {
            id: event.id,
            stream: event.stream,
            event_type: event.event_type,
            schema_version: event.schema_version,
            time: event.time,
            source: event.source,
            content_type: event.content_type,
            tags: event.tags,
            metadata: Cow::Owned(event.metadata.to_owned()),
            payload: event.payload,
            version: Some(event.version),
            position: Some(event.position),
            recorded: Some(event.recorded),
        }
    }
}

impl<'a> From<&EventRef<'a>> for Outgoing<'a> {
    fn from(event: &EventRef<'a>) -> Self {
        Self::from(*event)
    }
}
