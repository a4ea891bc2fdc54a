//! Numbers for people, and times from them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};

/// A number with its thousands set apart.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and what is counted, which takes an `s` unless there is exactly one.
pub(crate) fn count(number: u64, what: &str) -> String {
    format!("{} {what}{}", self::number(number), if number == 1 { "" } else { "s" })
}

/// An amount of bytes, in the largest unit of which there is at least one.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    // What rounds up to 1024.0 belongs to the next unit.
    const FULL: f64 = 1023.95;
    if bytes < 1024 {
        return count(bytes, "byte");
    }
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let (mut amount, mut unit) = (bytes as f64 / 1024.0, 0);
    while amount >= FULL && unit + 1 < UNITS.len() {
        (amount, unit) = (amount / 1024.0, unit + 1);
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// A time, or the beginning of a day.
pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    let day = || text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC)).map(|day| day.timestamp());
    text.parse().or_else(|_| day()).map_err(|_| "write a time such as 2026-02-01T09:30:00Z, or a day".to_owned())
}

/// A span of time, in the largest unit of which it is a whole number.
pub(crate) fn span(time: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let seconds = time.as_secs();
    let whole = UNITS.iter().find(|(size, _)| time.subsec_nanos() == 0 && seconds > 0 && seconds.is_multiple_of(*size));
    whole.map_or_else(|| format!("{time:?}"), |(size, unit)| format!("{}{unit}", seconds / size))
}

/// A span of time such as `500ms`, `30s`, `1h 30m` or `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.trim().parse::<u64>().ok());
    let days = days.and_then(|days| days.checked_mul(24 * 3_600)).map(Duration::from_secs);
    let other = || text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    days.or_else(other).ok_or_else(|| "write a span of time such as 500ms, 30s, 5m, 1h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (value, expected) in [(0, "0"), (999, "999"), (1000, "1,000"), (123_456, "123,456")] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(number(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn one_of_a_kind_is_singular() {
        assert_eq!([0, 1, 1200].map(|events| count(events, "event")), ["0 events", "1 event", "1,200 events"]);
    }

    #[test]
    fn bytes_have_a_fitting_unit() {
        let cases =
            [(1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"), (5 << 30, "5.0 GiB")];
        for (value, expected) in cases {
            assert_eq!(bytes(value), expected);
        }
    }

    #[test]
    fn a_day_begins_at_midnight_utc() {
        assert_eq!(time("2026-02-01"), time("2026-02-01T00:00:00Z"));
        assert_eq!(time("2026-02-01T01:30:00+01:00"), time("2026-02-01T00:30:00Z"));
        assert!(time("yesterday").unwrap_err().contains("2026-02-01T09:30:00Z"));
    }

    #[test]
    fn a_span_is_shown_as_it_may_be_written() {
        for text in ["7d", "1h", "90m", "45s", "500ms", "1.5s"] {
            let shown = Duration::try_from(text.parse::<SignedDuration>().unwrap_or_default()).unwrap();
            assert_eq!(span(if text == "7d" { Duration::from_secs(604_800) } else { shown }), text);
        }
        assert_eq!(span(Duration::ZERO), "0ns");
    }

    #[test]
    fn a_span_of_time_has_a_unit() {
        let cases = [("500ms", 500), ("30s", 30_000), ("1h 30m", 5_400_000), ("7d", 604_800_000), ("0s", 0)];
        for (text, expected) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(expected)), "{text}");
        }
        for text in ["", "5", "-3s", "soon", "99999999999999999999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
