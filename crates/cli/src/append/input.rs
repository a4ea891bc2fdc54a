//! What the command line of `append` may say.

use mainspring::{
    event::{NameError, StreamName, Version},
    store::Expected,
};
use serde::de::IgnoredAny;

use crate::incoming;

/// A stream that events may be appended to from outside.
pub(super) fn stream(text: &str) -> Result<StreamName, String> {
    let stream = StreamName::new(text).map_err(|error: NameError| error.to_string())?;
    if stream.is_internal() {
        return Err("streams whose names begin with `$` are internal: only the program itself writes them".to_owned());
    }
    Ok(stream)
}

/// A payload in JSON.
pub(super) fn json(text: &str) -> Result<String, String> {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("this is not JSON: {}", incoming::position(&error))),
    }
}

/// Where the stream is expected to be.
pub(super) fn expected(text: &str) -> Result<Expected, String> {
    match text {
        "any" => Ok(Expected::Any),
        "none" => Ok(Expected::NoStream),
        "exists" => Ok(Expected::Exists),
        version => match version.parse() {
            Ok(version) => Ok(Expected::Exactly(Version(version))),
            Err(_) => Err("write `any`, `none`, `exists`, or a version such as 3".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expectation_is_a_word_or_a_version() {
        assert_eq!(expected("none"), Ok(Expected::NoStream));
        assert_eq!(expected("0"), Ok(Expected::Exactly(Version(0))));
        for bad in ["", "-1", "some", "1.0"] {
            assert!(expected(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn internal_streams_and_broken_payloads_are_refused() {
        assert!(stream("order-1").is_ok());
        assert!(stream("$lease").unwrap_err().contains("internal"));
        assert_eq!(json("{}"), Ok("{}".to_owned()));
        assert_eq!(json("{"), Err("this is not JSON: EOF while parsing an object (column 1)".to_owned()));
    }
}
