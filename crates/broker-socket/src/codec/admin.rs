//! What operators ask and are told, on the wire.

use mainspring_broker::{GroupStatus, Pending, Resume, ScheduleId, Scheduled, SliceStatus, TopicStatus};

use super::{Garbled, Reader, Wire, wire_enum, wire_struct, write_blob};

wire_struct!(TopicStatus { topic, slices });
wire_struct!(SliceStatus { first, next });
wire_struct!(GroupStatus { group, members, lag, in_flight, held_keys });
wire_struct!(Pending { message, place, attempts, in_flight });
wire_struct!(Scheduled { id, message, due });
wire_enum!(Resume { 0 => Resubmit, 1 => Skip });

impl Wire for ScheduleId {
    fn write(&self, out: &mut Vec<u8>) {
        write_blob(out, self.as_str().as_bytes());
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Ok(Self::new(String::read(from)?))
    }
}
