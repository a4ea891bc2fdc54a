//! A tuple variant holds an event.

use mainspring_event::{Event, Tagged};

struct Plain;

#[derive(Event)]
#[event(crate = mainspring_event)]
enum View {
    Held(Plain),
}

fn needs_tags(_: impl Tagged) {}

fn main() {
    needs_tags(Plain);
}
