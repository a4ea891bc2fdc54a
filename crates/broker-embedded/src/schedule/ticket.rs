//! By what a message is known that waits for its time.

use jiff::Timestamp;
use mainspring_broker::ScheduleId;

/// A message that waits: its stretch, its version there, and when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) stretch: i64,
    pub(crate) version: u64,
    pub(crate) due: Timestamp,
}

/// Whether a message waits.
pub(crate) enum Found {
    /// It does.
    Waits(Ticket),
    /// That cannot be said before the stretch is read, by whoever asked, so far.
    ToRead(u64),
    /// That cannot be said before the stretch is read, and somebody else does that.
    BeingRead,
    /// It does not.
    Nothing,
}

impl Ticket {
    /// What operators know it by.
    pub(crate) fn id(&self) -> ScheduleId {
        ScheduleId::new(format!("{}.{}", self.stretch, self.version))
    }

    /// The stretch and the version that an id stands for.
    pub(crate) fn named(id: &ScheduleId) -> Option<(i64, u64)> {
        let (stretch, version) = id.as_str().split_once('.')?;
        Some((stretch.parse().ok()?, version.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_message_and_nothing_else_is_one() {
        for (stretch, version) in [(1_666_666, 1), (-3, 17)] {
            let ticket = Ticket { stretch, version, due: Timestamp::UNIX_EPOCH };
            assert_eq!(Ticket::named(&ticket.id()), Some((stretch, version)));
        }
        for other in ["", "7", "1.", "1.2.3", "a.b", "1.-2"] {
            assert_eq!(Ticket::named(&ScheduleId::new(other)), None, "{other}");
        }
    }
}
