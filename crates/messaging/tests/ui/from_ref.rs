//! States that have no parts.

use mainspring_messaging::FromRef;

#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
enum Neither {
    One(u32),
}

#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
struct Twice {
    one: u32,
    other: u32,
}

#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging, name = "x")]
struct Misspelt {
    one: u32,
}

fn main() {}
