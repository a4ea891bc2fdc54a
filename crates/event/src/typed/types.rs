//! Computations on lists of event types that run when a program is compiled, so that a mistake fails the build.

use super::EventType;
use crate::name::MAX_NAME;

/// Whether `name` can be the category of streams: not empty, at most 255 bytes, no `-`, no control characters, and no
/// `$` at its beginning, which marks the internal streams.
///
/// ```
/// use mainspring_event::is_category;
/// const _: () = assert!(is_category("order"));
/// const _: () = assert!(!is_category("order-line") && !is_category("$snapshot") && !is_category(""));
/// ```
pub const fn is_category(name: &str) -> bool {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_NAME || bytes[0] == b'$' {
        return false;
    }
    let mut i = 0;
    while i < bytes.len() {
        // Control characters are the ASCII ones and U+0080 to U+009F, which UTF-8 writes as C2 and a second byte.
        let late_control = bytes[i] == 0xC2 && bytes[i + 1] < 0xA0;
        if bytes[i] == b'-' || bytes[i].is_ascii_control() || late_control {
            return false;
        }
        i += 1;
    }
    true
}

/// Whether each of `keys` is carried by at least one of `types`. A decision that selects by a key no event carries
/// would select nothing.
///
/// ```
/// use mainspring_event::{EventType, carried};
/// const TYPES: &[EventType] = &[EventType { name: "CourseOpened", version: 1, tags: &["course"] }];
/// const _: () = assert!(carried(&["course"], TYPES) && !carried(&["course", "student"], TYPES));
/// ```
pub const fn carried(keys: &[&str], types: &[EventType]) -> bool {
    let mut k = 0;
    while k < keys.len() {
        let (mut found, mut i) = (false, 0);
        while i < types.len() {
            found = found || contains(types[i].tags, keys[k]);
            i += 1;
        }
        if !found {
            return false;
        }
        k += 1;
    }
    true
}

/// How many types there are in all `parts` together.
pub const fn total(parts: &[&[EventType]]) -> usize {
    let (mut sum, mut i) = (0, 0);
    while i < parts.len() {
        sum += parts[i].len();
        i += 1;
    }
    sum
}

/// The types of all `parts` in order; `N` is their [`total`].
pub const fn concat<const N: usize>(parts: &[&[EventType]]) -> [EventType; N] {
    let mut all = [EventType { name: "", version: 0, tags: &[] }; N];
    let (mut i, mut next) = (0, 0);
    while i < parts.len() {
        let mut j = 0;
        while j < parts[i].len() {
            all[next] = parts[i][j];
            next += 1;
            j += 1;
        }
        i += 1;
    }
    assert!(next == N, "N is the total of the parts");
    all
}

/// Whether no name occurs twice.
pub const fn distinct(types: &[EventType]) -> bool {
    let mut i = 0;
    while i < types.len() {
        let mut j = i + 1;
        while j < types.len() {
            if same(types[i].name, types[j].name) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

/// Fails the build when `old` cannot be an upcast of `this`; `previous` is the version of the upcast before it.
pub const fn check_upcast(this: &EventType, old: &[EventType], previous: u32) {
    assert!(old.len() == 1, "an upcast is the older shape of one event: use a struct, not an enum");
    assert!(same(old[0].name, this.name), "an upcast has the stored name of the event it becomes: set `name`");
    assert!(old[0].version < this.version, "an upcast has a lower version than the event it becomes: set `version`");
    assert!(old[0].version > previous, "upcasts are listed from the oldest version to the newest");
}

/// Whether one of `types` is called `name`.
pub fn knows(types: &[EventType], name: &str) -> bool {
    types.iter().any(|known| known.name == name)
}

const fn contains(texts: &[&str], text: &str) -> bool {
    let mut i = 0;
    while i < texts.len() {
        if same(texts[i], text) {
            return true;
        }
        i += 1;
    }
    false
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamName;

    #[test]
    fn a_category_is_what_streams_can_be_named_by() {
        for name in ["order", "ordér", "a b", "\u{a0}", "日本", "a\nb", "a\u{7f}", "\u{80}", "a\u{9f}b", "a-b", ""] {
            assert_eq!(is_category(name), StreamName::of(name, 1).is_ok(), "{name:?}");
        }
        assert!(is_category(&"x".repeat(255)) && !is_category(&"x".repeat(256)) && !is_category("$internal"));
    }
}
