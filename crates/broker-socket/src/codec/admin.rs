//! What operators ask and are told, on the wire.

use mainspring_broker::{GroupStatus, Pending, Resume, Scheduled};

use super::{wire_enum, wire_struct};

wire_struct!(GroupStatus { group, members, lag, in_flight, held_keys });
wire_struct!(Pending { message, place, attempts, in_flight });
wire_struct!(Scheduled { message, due });
wire_enum!(Resume { 0 => Resubmit, 1 => Skip });
