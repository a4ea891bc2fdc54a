//! An upcast needs a conversion from the older shape.

use mainspring_event::Event;

#[derive(Event)]
#[event(crate = mainspring_event, name = "Moved", version = 1)]
struct MovedV1;

#[derive(Event)]
#[event(crate = mainspring_event, version = 2, upcast = MovedV1)]
struct Moved;

fn main() {}
