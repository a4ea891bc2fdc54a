//! What stands on the command line: places, headers, rates.

use std::time::Duration;

use bytes::Bytes;
use mainspring_broker::{Place, Slice};

/// A place as it is shown: topic, partition and offset.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let parts: Vec<_> = text.split('/').collect();
    let read = || {
        let [topic, partition, offset] = parts[..] else { return None };
        let slice = Slice { topic: topic.parse().ok()?, partition: partition.parse().ok()? };
        Some(Place { slice, offset: offset.parse().ok()? })
    };
    read().ok_or_else(|| "write a place as it is listed, such as orders/0/17".to_owned())
}

/// A header as `name=value`.
pub(crate) fn header(text: &str) -> Result<(String, Bytes), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Bytes::copy_from_slice(value.as_bytes()))),
        _ => Err("write a header as name=value".to_owned()),
    }
}

/// How long to wait between two messages, from a rate such as `100/s`.
pub(crate) fn rate(text: &str) -> Result<Duration, String> {
    let read = || {
        let (count, unit) = text.split_once('/')?;
        let count: u32 = count.parse().ok()?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return None,
        };
        Duration::from_secs(seconds).checked_div(count)
    };
    read().ok_or_else(|| "write a rate such as 100/s, 5/m or 1/h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_it_is_listed() {
        assert_eq!(place("orders.eu-1/3/17").unwrap().to_string(), "orders.eu-1/3/17");
        for text in ["", "orders", "orders/0", "orders/0/x", "orders/-1/0", "a b/0/1", "orders/0/1/2"] {
            assert!(place(text).unwrap_err().contains("orders/0/17"), "{text}");
        }
    }

    #[test]
    fn a_header_has_a_name() {
        assert_eq!(header("a=b=c").unwrap(), ("a".to_owned(), "b=c".into()));
        assert_eq!(header("a=").unwrap(), ("a".to_owned(), Bytes::new()));
        assert!(header("=b").is_err() && header("a").is_err());
    }

    #[test]
    fn a_rate_is_a_number_in_a_time() {
        assert_eq!(rate("100/s"), Ok(Duration::from_millis(10)));
        assert_eq!(rate("5/m"), Ok(Duration::from_secs(12)));
        for text in ["", "5", "0/s", "5/d", "-1/s", "x/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
