//! Reading: what a CloudEvent says as an event of ours, and what has to be kept of its own words.

use crate::{
    EventTypeName, Metadata, MetadataValue, NameError, NewEvent, Position, Source, StreamName, TraceContext, Version,
};

use super::{
    CloudEventError, Outgoing, Parsed,
    attributes::{self, NO_TIME, SPEC_VERSION},
    data::{self, FORM, Form},
    document::{Attributes, Document, text},
    outgoing::{RESTORABLE, absent},
};

/// The event that `document` describes.
pub(super) fn parsed(document: Document<'_>) -> Result<Parsed, CloudEventError> {
    let (given, data) = document.take()?;
    let required = |name| required_text(&given, name);
    let optional = |name| optional_text(&given, name);
    let spec_version = required("specversion")?;
    if spec_version != SPEC_VERSION {
        return Err(CloudEventError::SpecVersion { found: spec_version.to_owned() });
    }
    let source = required("source")?;
    let id = required("id")?;
    if id.is_empty() {
        return Err(CloudEventError::form("id", "a text of at least one character", id));
    }
    let content_type = optional("datacontenttype")?.unwrap_or_default();
    let (form, payload) = data::read(content_type, data)?;
    let (time, stream) = (optional("time")?, optional("stream")?);
    let event = NewEvent {
        id: attributes::id(source, id),
        stream: match stream {
            Some(stream) => StreamName::new(stream).map_err(named("stream"))?,
            None => attributes::assumed_stream(source, given.get("subject")),
        },
        event_type: EventTypeName::new(required("type")?).map_err(named("type"))?,
        schema_version: given.get("schemaversion").map_or(Ok(1), attributes::schema_version)?,
        time: time.map_or(Ok(NO_TIME), |time| attributes::time("time", time))?,
        source: Source::new(source).map_err(named("source"))?,
        content_type: content_type.to_owned().into(),
        tags: optional("tags")?.map_or(Ok(Vec::new()), attributes::tags)?,
        metadata: metadata(&given)?,
        payload,
    };
    let number = |name| optional(name)?.map(|text| attributes::number(name, text)).transpose();
    let mut parsed = Parsed {
        event,
        version: number("streamversion")?.map(Version),
        position: number("position")?.map(Position),
        recorded: recorded(optional("recordedtime")?)?,
        stream_assumed: stream.is_none(),
        time_assumed: time.is_none(),
    };
    keep_originals(&mut parsed, &given, form);
    Ok(parsed)
}

fn metadata(given: &Attributes) -> Result<Metadata, CloudEventError> {
    let text = |name: &str| given.get(name).map(attributes::as_text);
    let mut metadata = Metadata::default();
    metadata.correlation = given.get("correlationid").and_then(attributes::reference);
    metadata.causation = given.get("causationid").and_then(attributes::reference);
    metadata.trace =
        text("traceparent").map(|traceparent| TraceContext { traceparent, tracestate: text("tracestate") });
    metadata.user = text("userid");
    metadata.tenant = text("tenantid");
    for (name, value) in given.iter().filter(|(name, _)| !Metadata::is_reserved(name)) {
        metadata.insert(name, value.clone()).map_err(CloudEventError::Extension)?;
    }
    Ok(metadata)
}

/// Keeps every attribute that would be written in other words than it came in.
fn keep_originals(parsed: &mut Parsed, given: &Attributes, form: Form) {
    let usual = Outgoing::from(&*parsed).usual();
    let usual_form = Form::usual(&parsed.event.content_type, &parsed.event.payload);
    let metadata = &mut parsed.event.metadata;
    for name in RESTORABLE {
        let usual = usual.iter().find(|(usual, _)| *usual == name).map(|(_, value)| value);
        if given.get(name) != usual {
            metadata.keep_original(name, given.get(name).cloned().unwrap_or_else(absent));
        }
    }
    if form != usual_form {
        metadata.keep_original(FORM, form.original());
    }
}

fn recorded(text: Option<&str>) -> Result<Option<jiff::Timestamp>, CloudEventError> {
    let Some(text) = text else { return Ok(None) };
    let time = attributes::time("recordedtime", text)?;
    // Only a store writes it, and stores write it in one way.
    if time.to_string() != text {
        return Err(CloudEventError::form("recordedtime", "a time as a store writes it", text));
    }
    Ok(Some(time))
}

fn required_text<'a>(given: &'a Attributes, attribute: &'static str) -> Result<&'a str, CloudEventError> {
    optional_text(given, attribute)?.ok_or(CloudEventError::Missing { attribute })
}

fn optional_text<'a>(given: &'a Attributes, attribute: &str) -> Result<Option<&'a str>, CloudEventError> {
    given.get(attribute).map(|value: &MetadataValue| text(attribute, value)).transpose()
}

fn named(attribute: &'static str) -> impl Fn(NameError) -> CloudEventError {
    move |source| CloudEventError::Name { attribute, source }
}
