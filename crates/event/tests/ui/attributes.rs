//! Attributes of events are checked where they are written.

use mainspring_event::Event;

#[derive(Event)]
#[event(crate = mainspring_event, version = 0)]
struct Zeroth;

#[derive(Event)]
#[event(crate = mainspring_event, version = "1")]
struct Text;

#[derive(Event)]
#[event(crate = mainspring_event, name = "")]
struct Nameless;

#[derive(Event)]
#[event(crate = mainspring_event, name = "a", name = "b")]
struct Renamed;

#[derive(Event)]
#[event(crate = mainspring_event, title = "a")]
struct Titled;

#[derive(Event)]
#[event(crate = mainspring_event, name = "Order")]
enum Whole {
    Placed,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Elsewhere;

#[derive(Event)]
#[event(crate = mainspring_event)]
enum View {
    #[event(version = 2)]
    Held(Elsewhere),
}

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Variants {
    #[event(crate = mainspring_event)]
    Placed,
}

fn main() {}
