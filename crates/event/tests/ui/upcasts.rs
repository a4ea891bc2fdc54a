//! An upcast is an older shape of the same event.

use mainspring_event::Event;

#[derive(Event)]
#[event(crate = mainspring_event, name = "Moved", version = 1)]
struct MovedV1;

#[derive(Event)]
#[event(crate = mainspring_event, name = "Moved", version = 2)]
struct MovedV2;

#[derive(Event)]
#[event(crate = mainspring_event, name = "Moved", version = 2, upcast = MovedV2)]
struct NotOlder;

#[derive(Event)]
#[event(crate = mainspring_event, name = "Removed", version = 3, upcast = MovedV2)]
struct OtherName;

#[derive(Event)]
#[event(crate = mainspring_event, name = "Moved", version = 3, upcast = MovedV2, upcast = MovedV1)]
struct WrongOrder;

#[derive(Event)]
#[event(crate = mainspring_event)]
enum Several {
    Moved,
    Stayed,
}

#[derive(Event)]
#[event(crate = mainspring_event, name = "Moved", version = 3, upcast = Several)]
struct FromSeveral;

macro_rules! converts {
    ($($old:ident => $new:ident),*) => {
        $(impl From<$old> for $new {
            fn from(_: $old) -> Self {
                Self
            }
        })*
    };
}

converts!(MovedV2 => NotOlder, MovedV2 => OtherName, MovedV1 => WrongOrder, MovedV2 => WrongOrder, Several => FromSeveral);

fn main() {}
