//! Only structs with named fields and enums of them are events.

use mainspring_event::{Event, Tagged};

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Positional(u64);

#[derive(Event)]
#[event(crate = mainspring_event)]
union Both {
    a: u8,
    b: u8,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Nothing {}

#[derive(Event)]
#[event(crate = mainspring_event)]
struct Generic<T> {
    value: T,
}

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Pairs {
    Pair(Generic<u8>, Generic<u8>),
}

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Unheld {
    Empty(),
}

#[derive(Tagged)]
#[event(crate = mainspring_event)]
union Neither {
    a: u8,
}

fn main() {}
