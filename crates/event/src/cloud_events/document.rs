//! A CloudEvent's JSON, taken apart but not yet interpreted.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::CloudEventError;
use crate::MetadataValue;

/// The members of a CloudEvent.
#[derive(Default)]
pub(super) struct Document<'a> {
    members: BTreeMap<String, Value>,
    data: Option<&'a RawValue>,
    duplicate: Option<String>,
}

/// Attributes by name, and the payload in the form it came in.
pub(super) type Attributes = BTreeMap<String, MetadataValue>;

/// The payload in the form it came in.
pub(super) enum Data<'a> {
    Absent,
    Inline(&'a RawValue),
    Base64(String),
}

impl<'a> Document<'a> {
    /// What the document says; members that are `null` are absent.
    pub(super) fn take(self) -> Result<(Attributes, Data<'a>), CloudEventError> {
        if let Some(attribute) = self.duplicate {
            return Err(CloudEventError::Duplicate { attribute });
        }
        let mut attributes = Attributes::new();
        let mut base64 = None;
        for (name, value) in self.members {
            let value = match value {
                Value::Null => continue,
                Value::Plain(value) => value,
                Value::Other(found) => {
                    let expected = "text, a whole number of 64 bits, true or false";
                    return Err(CloudEventError::Type { attribute: name, expected, found });
                }
            };
            if name == "data_base64" {
                base64 = Some(text(&name, &value)?.to_owned());
            } else {
                attributes.insert(name, value);
            }
        }
        match (self.data, base64) {
            (Some(_), Some(_)) => Err(CloudEventError::TwoPayloads),
            (Some(data), None) => Ok((attributes, Data::Inline(data))),
            (None, Some(base64)) => Ok((attributes, Data::Base64(base64))),
            (None, None) => Ok((attributes, Data::Absent)),
        }
    }
}

/// The text of an attribute that must be one.
pub(super) fn text<'v>(attribute: &str, value: &'v MetadataValue) -> Result<&'v str, CloudEventError> {
    let found = match value {
        MetadataValue::Text(text) => return Ok(text),
        MetadataValue::Integer(_) => "a number",
        MetadataValue::Boolean(_) => "true or false",
    };
    Err(CloudEventError::Type { attribute: attribute.to_owned(), expected: "text", found })
}

/// A member's value: what an attribute can be, or what it is instead.
enum Value {
    Null,
    Plain(MetadataValue),
    Other(&'static str),
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Document<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CloudEvent, which is an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document<'de>, A::Error> {
                let mut document = Document::default();
                while let Some(name) = map.next_key::<String>()? {
                    let again = if name == "data" {
                        document.data.replace(map.next_value()?).is_some()
                    } else {
                        document.members.insert(name.clone(), map.next_value()?).is_some()
                    };
                    if again {
                        document.duplicate.get_or_insert(name);
                    }
                }
                Ok(document)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an attribute")
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Plain(MetadataValue::Boolean(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value::Plain(MetadataValue::Integer(value)))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                let integer = i64::try_from(value).map(MetadataValue::Integer);
                Ok(integer.map_or(Value::Other("a number beyond 64 bits with sign"), Value::Plain))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
                Ok(Value::Other("a number with a fraction or beyond 64 bits"))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Plain(MetadataValue::Text(value.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value::Other("an array"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value::Other("an object"))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
