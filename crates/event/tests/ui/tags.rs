//! A tag is a named field with a key that a store can index.

use mainspring_event::{Event, Tagged};
use serde::{Deserialize, Serialize};

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Held {
    One(#[tag] u8),
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Colon {
    #[tag("a:b")]
    id: u8,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Empty {
    #[tag("")]
    id: u8,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Unknown {
    #[tag(hashed)]
    id: u8,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Assigned {
    #[tag = "key"]
    id: u8,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Twice {
    #[tag]
    #[tag("key")]
    id: u8,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
#[tag]
struct Misplaced {
    id: u8,
}

#[derive(Tagged)]
#[event(crate = mainspring_event)]
enum OnVariant {
    #[tag]
    One { id: u8 },
}

#[derive(Tagged)]
#[event(crate = mainspring_event)]
struct Untagged {
    id: u8,
}

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
struct NotText {
    #[tag]
    ids: Vec<u8>,
}

fn main() {}
