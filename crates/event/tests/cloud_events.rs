//! CloudEvents: nothing is lost from event to JSON to event, nor from JSON to event to JSON.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use jiff::Timestamp;
use mainspring_event::{
    EventId, EventTypeName, Metadata, MetadataRef, MetadataValue, NewEvent, Position, Source, StoredEvent, StreamName,
    Tag, TraceContext, Version,
    cloud_events::{self, CloudEventError},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

fn event() -> NewEvent {
    let mut metadata = Metadata::default();
    metadata.correlation = Some(EventId::from_bytes([1; 16]));
    metadata.causation = Some(EventId::from_bytes([2; 16]));
    let (traceparent, tracestate) = ("00-0af7-b7ad-01".to_owned(), Some("x=1".to_owned()));
    metadata.trace = Some(TraceContext { traceparent, tracestate });
    metadata.user = Some("ada".to_owned());
    metadata.tenant = Some("shop".to_owned());
    metadata.insert("subject", MetadataValue::Text("order 17".to_owned())).unwrap();
    metadata.insert("retries", MetadataValue::Integer(i64::MIN)).unwrap();
    metadata.insert("test", MetadataValue::Boolean(true)).unwrap();
    NewEvent {
        id: EventId::from_bytes([7; 16]),
        stream: StreamName::of("order", 17).unwrap(),
        event_type: "OrderPlaced".parse().unwrap(),
        schema_version: 2,
        time: "2026-02-01T09:30:00.5Z".parse().unwrap(),
        source: "/shop".parse().unwrap(),
        content_type: "application/json".into(),
        tags: vec![Tag::new("customer", 7).unwrap(), Tag::new("voucher", "a,\"b\"").unwrap()],
        metadata,
        payload: r#"{"cents": 1.50e1}"#.into(),
    }
}

fn stored(event: NewEvent) -> StoredEvent {
    let recorded = "2026-02-01T09:30:01Z".parse().unwrap();
    StoredEvent { event, version: Version(3), position: Position(u64::MAX), recorded }
}

#[test]
fn a_stored_event_in_full() {
    let expected = concat!(
        r#"{"specversion":"1.0","id":"07070707-0707-0707-0707-070707070707","source":"/shop","type":"OrderPlaced","#,
        r#""time":"2026-02-01T09:30:00.5Z","datacontenttype":"application/json","stream":"order-17","#,
        r#""streamversion":"3","position":"18446744073709551615","recordedtime":"2026-02-01T09:30:01Z","#,
        r#""schemaversion":2,"tags":"[\"customer:7\",\"voucher:a,\\\"b\\\"\"]","#,
        r#""correlationid":"01010101-0101-0101-0101-010101010101","#,
        r#""causationid":"02020202-0202-0202-0202-020202020202","#,
        r#""traceparent":"00-0af7-b7ad-01","tracestate":"x=1","userid":"ada","tenantid":"shop","#,
        r#""retries":-9223372036854775808,"subject":"order 17","test":true,"data":{"cents": 1.50e1}}"#,
    );
    let stored = stored(event());
    assert_eq!(cloud_events::to_json(&stored), expected);
    let mut metadata = Vec::new();
    stored.event.metadata.encode(&mut metadata);
    assert_eq!(cloud_events::to_json(stored.borrowed(MetadataRef::new(&metadata))), expected);
    assert_eq!(cloud_events::from_json(expected.as_bytes()).unwrap().into_stored().unwrap(), stored);
}

/// JSON, read and written again, says the same, on one line; what was read is returned.
fn survives(json: &Value) -> cloud_events::Parsed {
    // Printed over several lines, as other programs may.
    let parsed = cloud_events::from_json(serde_json::to_string_pretty(json).unwrap().as_bytes()).unwrap();
    let back = cloud_events::to_json(&parsed);
    assert!(!back.contains('\n'));
    let said = |(name, value): &(String, Value)| name == "data" || !value.is_null();
    let given: Map<_, _> = json.as_object().unwrap().clone().into_iter().filter(said).collect();
    assert_eq!(serde_json::from_str::<Value>(&back).unwrap(), Value::Object(given));
    assert_eq!(cloud_events::from_json(back.as_bytes()).unwrap(), parsed);
    parsed
}

fn foreign(members: Value) -> Value {
    let mut event = json!({ "specversion": "1.0", "id": "A234-1234", "source": "/mail", "type": "com.example.sent" });
    let Value::Object(members) = members else { panic!("members are an object") };
    event.as_object_mut().unwrap().extend(members);
    event
}

#[test]
fn the_least_of_foreign_events() {
    let parsed = survives(&foreign(json!({})));
    assert!(parsed.stream_assumed && parsed.time_assumed);
    let event = &parsed.event;
    assert_eq!(
        (event.stream.as_str(), event.time, event.schema_version),
        ("cloudevents-/mail", Timestamp::UNIX_EPOCH, 1)
    );
    assert_eq!(event.id, EventId::derived(&["cloudevents", "/mail", "A234-1234"]));
    assert_eq!(event.metadata.original("id"), Some(&MetadataValue::Text("A234-1234".into())));
    assert!(matches!(parsed.into_stored(), Err(CloudEventError::Missing { attribute: "streamversion" })));
}

#[test]
fn what_is_said_in_other_words() {
    for members in [
        json!({ "time": "2018-04-05T17:31:00.000+02:00" }),
        json!({ "time": "1970-01-01T00:00:00Z", "datacontenttype": "" }),
        json!({ "id": "6BA7B810-9DAD-11D1-80B4-00C04FD430C8" }),
        json!({ "id": "6ba7b810-9dad-11d1-80b4-00c04fd430c8" }),
        json!({ "subject": "mail 1", "stream": "cloudevents-/mail#mail 1" }),
        json!({ "subject": "x\ny", "dataschema": "https://example.org/schema" }),
        json!({ "stream": "mail-1", "schemaversion": 1, "tags": "[ ]" }),
        json!({ "schemaversion": 7, "tags": "[\"a:1\",  \"b:2\"]" }),
        json!({ "correlationid": "order 17", "causationid": 17, "tracestate": "x=1" }),
        json!({ "correlationid": "6BA7B8109DAD11D180B400C04FD430C8", "causationid": "" }),
        json!({ "traceparent": 1, "tracestate": true, "userid": 42, "tenantid": false }),
        json!({ "originalid": "x", "database64": 1, "comexample": i64::MAX, "empty": "", "unset": null }),
        json!({ "streamversion": "4", "position": "9", "recordedtime": "2026-02-01T09:30:01.25Z" }),
    ] {
        survives(&foreign(members));
    }
}

#[test]
fn payloads_keep_the_form_they_came_in() {
    let check = |members: Value, payload: &str| assert_eq!(survives(&foreign(members)).event.payload, payload);
    check(json!({ "data": { "a": [1, "b c"] } }), r#"{"a":[1,"b c"]}"#);
    check(json!({ "data": null, "datacontenttype": "text/json" }), "null");
    check(json!({ "data": "text" }), r#""text""#);
    check(json!({ "data": "<a>\n</a>", "datacontenttype": "text/xml" }), "<a>\n</a>");
    check(json!({ "data": "", "datacontenttype": "text/plain" }), "");
    check(json!({ "data": 17, "datacontenttype": "text/plain" }), "17");
    check(json!({ "data_base64": "e30=", "datacontenttype": "application/json" }), "{}");
    check(json!({ "data_base64": "" }), "");
    check(json!({ "data_base64": "PGE+", "datacontenttype": "text/xml" }), "<a>");
}

#[test]
fn an_original_is_dropped_when_the_event_was_changed() {
    let json = foreign(json!({ "time": "2018-04-05T17:31:00+02:00", "correlationid": "x", "stream": "mail-1" }));
    let mut parsed = survives(&json);
    parsed.event.id = EventId::from_bytes([9; 16]);
    parsed.event.time = Timestamp::UNIX_EPOCH;
    parsed.event.metadata.correlation = Some(EventId::from_bytes([8; 16]));
    parsed.event.stream = StreamName::of("mail", 2).unwrap();
    let back: Value = serde_json::from_str(&cloud_events::to_json(&parsed.event)).unwrap();
    let expected = json!({ "id": "09090909-0909-0909-0909-090909090909", "time": "1970-01-01T00:00:00Z",
        "correlationid": "08080808-0808-0808-0808-080808080808", "stream": "mail-2" });
    assert_eq!(back, foreign(expected));
}

#[test]
fn what_cannot_be_read_names_the_attribute() {
    let check = |json: Value, expected: &str| {
        let error = cloud_events::from_json(json.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let with = |name: &str, value: Value| foreign(json!({ name: value }));
    for attribute in ["specversion", "id", "source", "type"] {
        check(with(attribute, Value::Null), &format!("the CloudEvent has no `{attribute}`"));
        check(with(attribute, json!(1)), &format!("`{attribute}` of the CloudEvent is a number, not text"));
    }
    check(with("specversion", json!("0.3")), "the CloudEvent has specversion `0.3`: only `1.0` can be read");
    check(with("id", json!("")), "`id` of the CloudEvent is not a text of at least one character: ``");
    check(with("source", json!("")), "`source` of the CloudEvent cannot be taken over");
    let time = "`time` of the CloudEvent is not a time such as 2026-02-01T09:30:00Z: `today`";
    check(with("time", json!("today")), time);
    let both = foreign(json!({ "data": 1, "data_base64": "" }));
    check(both, "the CloudEvent has both `data` and `data_base64`: remove one");
    let base64 = "`data_base64` of the CloudEvent is not standard base64 with padding: `e30`";
    check(with("data_base64", json!("e30")), base64);
    let plain = "not text, a whole number of 64 bits, true or false";
    check(with("ext", json!({})), &format!("`ext` of the CloudEvent is an object, {plain}"));
    check(with("ext", json!([])), &format!("`ext` of the CloudEvent is an array, {plain}"));
    check(
        with("ext", json!(1.0)),
        &format!("`ext` of the CloudEvent is a number with a fraction or beyond 64 bits, {plain}"),
    );
    check(
        with("ext", json!(u64::MAX)),
        &format!("`ext` of the CloudEvent is a number beyond 64 bits with sign, {plain}"),
    );
    check(with("my_ext", json!(1)), "the CloudEvent has an extension that cannot be taken over");
    check(with("position", json!("07")), "`position` of the CloudEvent is not a whole number as text: `07`");
    check(with("streamversion", json!(7)), "`streamversion` of the CloudEvent is a number, not text");
    check(with("schemaversion", json!(0)), "`schemaversion` of the CloudEvent is not a whole number from 1: `0`");
    check(
        with("recordedtime", json!("2026-01-01T00:00:00+00:00")),
        "`recordedtime` of the CloudEvent is not a time as a store writes it: `2026-01-01T00:00:00+00:00`",
    );
    let tags = "`tags` of the CloudEvent is not the text of a JSON array of tags such as [\"customer:7\"]: `a:1`";
    check(with("tags", json!("a:1")), tags);
    check(json!([]), "this is not a CloudEvent in JSON");
    let twice = br#"{"specversion":"1.0","id":"1","id":"2"}"#;
    assert_eq!(cloud_events::from_json(twice).unwrap_err().to_string(), "the CloudEvent has two `id`");
}

#[test]
fn batches() {
    let events = [event(), NewEvent { payload: "".into(), ..event() }];
    let json = cloud_events::batch_to_json(&events);
    assert_eq!(json, format!("[{},{}]", cloud_events::to_json(&events[0]), cloud_events::to_json(&events[1])));
    let back: Vec<_> =
        cloud_events::batch_from_json(json.as_bytes()).unwrap().into_iter().map(|one| one.event).collect();
    assert_eq!(back, events);
    assert_eq!(cloud_events::batch_to_json::<&NewEvent>([]), "[]");
    assert!(cloud_events::batch_from_json(b"[]").unwrap().is_empty());
    let broken = json!([foreign(json!({})), foreign(json!({ "id": null }))]).to_string();
    let error = cloud_events::batch_from_json(broken.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "event 1 of the batch, counted from 0, cannot be read");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the CloudEvent has no `id`");
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}(-[a-z0-9-]{1,8})?", "\\PC{1,40}", "[a-z]{255}"]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    let json = select(vec!["{}", "{\"a\" : 1.0}", " {}", "{\n}", "null", "\"x\\ud800\"", "1e999", "[1,]"]);
    prop_oneof![json.prop_map(|json| json.as_bytes().to_vec()), vec(any::<u8>(), 0..20)]
}

fn time() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond();
    prop_oneof![
        range.prop_map(|nanosecond| Timestamp::from_nanosecond(nanosecond).unwrap()),
        select(vec![Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX]),
    ]
}

fn metadata_value() -> impl Strategy<Value = MetadataValue> {
    prop_oneof![
        any::<String>().prop_map(MetadataValue::Text),
        any::<i64>().prop_map(MetadataValue::Integer),
        any::<bool>().prop_map(MetadataValue::Boolean),
    ]
}

fn id() -> impl Strategy<Value = EventId> {
    any::<[u8; 16]>().prop_map(EventId::from_bytes)
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let trace = (any::<String>(), option::of(any::<String>()));
    let trace = trace.prop_map(|(traceparent, tracestate)| TraceContext { traceparent, tracestate });
    let text = || option::of(any::<String>());
    let free = vec(("subject|dataschema|x[a-z0-9]{0,63}", metadata_value()), 0..4);
    (option::of(id()), option::of(id()), option::of(trace), text(), text(), free).prop_map(|parts| {
        let mut metadata = Metadata::default();
        let free;
        (metadata.correlation, metadata.causation, metadata.trace, metadata.user, metadata.tenant, free) = parts;
        for (key, value) in free {
            metadata.insert(&key, value).unwrap();
        }
        metadata
    })
}

fn any_event() -> impl Strategy<Value = NewEvent> {
    let content_type = select(vec!["application/json", "", "text/plain", "application/x+json", "\u{0}"]);
    let names = (name(), name(), name(), prop_oneof![Just(1), 1..=u32::MAX]);
    let tags = vec(("[a-z]{1,4}", "\\PC{0,8}").prop_map(|(key, value)| Tag::new(&key, value).unwrap()), 0..3);
    (id(), names, time(), content_type, tags, metadata(), payload()).prop_map(|parts| {
        let (id, (stream, event_type, source, schema_version), time, content_type, tags, metadata, payload) = parts;
        NewEvent {
            id,
            stream: StreamName::new(stream).unwrap(),
            event_type: EventTypeName::new(event_type).unwrap(),
            schema_version,
            time,
            source: Source::new(source).unwrap(),
            content_type: content_type.to_owned().into(),
            tags,
            metadata,
            payload: payload.into(),
        }
    })
}

/// Members that a foreign event may have, odd ones among them.
fn any_foreign() -> impl Strategy<Value = Value> {
    const IDS: &[&str] = &["6ba7b810-9dad-11d1-80b4-00c04fd430c8", "6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "x", " "];
    const TIMES: &[&str] =
        &["2018-04-05T17:31:00Z", "2018-04-05t17:31:00.10z", "1970-01-01T00:00:00Z", "2018-04-05T17:31:60+02:00"];
    const TYPES: &[&str] = &["", "application/json", "text/xml", "application/cloud+json; charset=utf-8"];
    const TAGS: &[&str] = &["[]", "[ ]", r#"["a:1"]"#, r#"["a:1", "b:\u0041"]"#];
    let texts = |texts: &'static [&'static str]| option::of(select(texts).prop_map(Value::from));
    let plain = || {
        prop_oneof![
            any::<String>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from)
        ]
    };
    let json = prop_oneof![
        plain(),
        Just(Value::Null),
        vec(plain(), 0..3).prop_map(Value::from),
        Just(json!({"a": {"b": []}}))
    ];
    let data = option::of(prop_oneof![
        json.prop_map(|data| ("data", data)),
        select(vec!["", "e30=", "AA==", "ewp9"]).prop_map(|data| ("data_base64", Value::from(data))),
    ]);
    let own = (
        select(IDS).prop_map(Value::from),
        texts(TIMES),
        texts(TYPES),
        texts(TAGS),
        texts(&["cloudevents-/mail", "cloudevents-/mail#s", "mail-1"]),
        option::of((1..=u32::MAX).prop_map(Value::from)),
        data,
    );
    let free = vec(
        (
            "subject|correlationid|causationid|traceparent|tracestate|userid|tenantid|original(id|time)|x[a-z0-9]{0,8}",
            plain(),
        ),
        0..6,
    );
    (own, free).prop_map(|((id, time, content_type, tags, stream, schema_version, data), free)| {
        let mut members = Map::from_iter(free);
        members.insert("id".to_owned(), id);
        let own = [("time", time), ("datacontenttype", content_type), ("tags", tags), ("stream", stream)];
        let own = own.into_iter().chain([("schemaversion", schema_version)]);
        let own = own.filter_map(|(name, value)| value.map(|value| (name, value))).chain(data);
        members.extend(own.map(|(name, value)| (name.to_owned(), value)));
        foreign(Value::Object(members))
    })
}

proptest! {
    #[test]
    fn an_event_survives_its_json(event in any_event(), version: u64, position: u64, recorded in time()) {
        let json = cloud_events::to_json(&event);
        prop_assert!(!json.contains(['\n', '\r']));
        prop_assert_eq!(&cloud_events::from_json(json.as_bytes()).unwrap().event, &event);
        let stored = StoredEvent { event, version: Version(version), position: Position(position), recorded };
        let json = cloud_events::batch_to_json([&stored, &stored]);
        for parsed in cloud_events::batch_from_json(json.as_bytes()).unwrap() {
            prop_assert_eq!(&parsed.into_stored().unwrap(), &stored);
        }
    }

    #[test]
    fn a_foreign_event_survives_ours(json in any_foreign()) {
        survives(&json);
    }

    #[test]
    fn no_input_panics(noise in vec(any::<u8>(), 0..64)) {
        let _ = cloud_events::from_json(&noise);
        let _ = cloud_events::batch_from_json(&noise);
    }
}
