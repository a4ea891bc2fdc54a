//! One name is one type.

use mainspring_event::Event;

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Renamed {
    Placed,
    #[event(name = "Placed")]
    Ordered,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Placed;

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Overlapping {
    Held(Placed),
    Other(Renamed),
}

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Same {
    Held(Placed),
    Again(Placed),
}

fn main() {}
