//! An event is a JSON object of its fields, so serde's other forms of an enum are refused.

use mainspring_event::Event;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
#[serde(tag = "type")]
enum Internal {
    Placed { units: u32 },
}

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
enum Skipped {
    #[serde(skip)]
    Placed { units: u32 },
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct NoSerde {
    units: u32,
}

fn main() {}
