//! What others wrote, on one line of a terminal.

use crate::units;

/// The payload on one line. Control characters are escaped: they could do anything to a terminal.
pub(crate) fn payload(content_type: &str, payload: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(payload) else {
        let kind = if content_type.is_empty() { "unknown type" } else { content_type };
        return format!("<{} of {}>", units::count(payload.len() as u64, "byte"), escaped(kind));
    };
    escaped(text)
}

/// The text without anything that could do something to a terminal.
pub(crate) fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_stays_on_its_line_and_off_the_terminal() {
        assert_eq!(payload("application/json", "{\"a\":\"ü\"}".as_bytes()), "{\"a\":\"ü\"}");
        assert_eq!(payload("text/plain", b"a\n\x1b[31mb\xc2\x9b"), "a\\n\\u{1b}[31mb\\u{9b}");
        assert_eq!(payload("image/png\x1b", b"\xff\x00"), "<2 bytes of image/png\\u{1b}>");
        assert_eq!(payload("", b""), "");
    }
}
