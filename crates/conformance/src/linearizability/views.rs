//! In which states each batch of a reading is right.

use mainspring_event::{Position, Version};
use mainspring_store::{Direction, Read, ReadFrom};

use super::{
    history::{End, Machine, Seen},
    log::{Log, States},
};

/// A reading, judged batch by batch.
struct View<'a> {
    log: &'a Log,
    read: &'a Read,
    /// How far it has come; nothing before the first batch of a reading from the end, which says where that was.
    through: Option<Position>,
    /// How many events it has shown.
    shown: u64,
}

/// For each batch the states in which it is right; there may be several claims about one.
///
/// # Errors
/// What is wrong in every state, and in which batch.
pub(super) fn states(
    log: &Log,
    read: &Read,
    seen: &[Seen],
    end: &End,
    machine: Machine,
) -> Result<Vec<(usize, States)>, String> {
    let through = match (read.from, read.direction) {
        (ReadFrom::Start | ReadFrom::Version(_), Direction::Forwards) => Some(Position::START),
        (ReadFrom::After(position), _) => Some(position),
        (ReadFrom::End, _) => None,
        _ => panic!("a history does not read like this: {read:?}"),
    };
    let mut view = View { log, read, through, shown: 0 };
    let mut claims = Vec::new();
    for (number, batch) in seen.iter().enumerate() {
        let states = match read.direction {
            Direction::Forwards => view.forwards(batch),
            Direction::Backwards => view.backwards(batch),
        };
        let states = states.map_err(|what| format!("batch {number}, through {}: {what}", batch.through))?;
        claims.extend(states.into_iter().map(|states| (number, states)));
    }
    match end {
        End::Failed(error) if machine == Machine::Sound => Err(format!("nothing failed under the store, but {error}")),
        End::Ended if read.follow && !view.is_full() => Err("a follower ended".to_owned()),
        End::Ended => view.complete(seen).map(|()| claims),
        End::Open | End::Failed(_) => Ok(claims),
    }
}

impl View<'_> {
    fn is_full(&self) -> bool {
        self.read.limit == Some(self.shown)
    }

    /// The positions in a range that the reading must show.
    fn expected(&self, range: std::ops::RangeInclusive<u64>) -> Vec<u64> {
        let mut positions = self.log.matches(&self.read.query, range);
        if let ReadFrom::Version(from) = self.read.from {
            let version =
                |position: &u64| self.log.get(Position(*position)).map_or(Version::NONE, |event| event.version);
            positions.retain(|position| version(position) >= from);
        }
        positions
    }

    /// Whether a batch shows just these events, and as they were written.
    fn compare(&self, batch: &Seen, expected: &[u64]) -> Result<(), String> {
        let shown: Vec<u64> = batch.events.iter().map(|(position, _)| position.0).collect();
        if shown != expected {
            return Err(format!("it shows the events at {shown:?}, not at {expected:?}"));
        }
        let wrong = batch.events.iter().find(|(position, print)| self.log.print(position.0) != *print);
        wrong.map_or(Ok(()), |(position, _)| Err(format!("what it shows at {position} is not what is stored there")))
    }

    fn forwards(&mut self, batch: &Seen) -> Result<Vec<States>, String> {
        let (log, through) = (self.log, batch.through);
        if through.0 > log.len() as u64 {
            return Err(format!("there are only {} events", log.len()));
        }
        let mut claims = Vec::new();
        let from = match self.through {
            Some(from) => from,
            None => {
                let began = self.began(batch)?;
                let first = log.end(*began.start());
                claims.push(began);
                first
            }
        };
        if through < from {
            return Err(format!("the one before came through {from}"));
        }
        self.compare(batch, &self.expected(from.0 + 1..=through.0))?;
        self.shown += batch.events.len() as u64;
        self.through = Some(through);
        let state = log.state_with(through);
        if log.end(state) != through && !self.is_full() {
            return Err(format!("it ends inside the commit from {} to {}", log.end(state - 1).0 + 1, log.end(state)));
        }
        let end = if batch.caught_up && !self.is_full() { state } else { log.commits() };
        claims.push(state..=end);
        Ok(claims)
    }

    /// Where a reading of what is to come began: in a state behind which its first batch has left nothing out.
    fn began(&self, batch: &Seen) -> Result<States, String> {
        let through = self.log.state_with(batch.through);
        let shown = batch.events.first().map_or(Position(batch.through.0 + 1), |(position, _)| *position);
        let before = self.log.matches(&self.read.query, 1..=shown.0.saturating_sub(1)).last().copied();
        let first = self.log.state_with(Position(before.unwrap_or(0)));
        let last = if batch.events.is_empty() { through } else { self.log.state_with(shown) - 1 };
        if first > last { Err("it does not begin with a commit".to_owned()) } else { Ok(first..=last) }
    }

    fn backwards(&mut self, batch: &Seen) -> Result<Vec<States>, String> {
        let log = self.log;
        let mut claims = Vec::new();
        let below = match self.through {
            Some(below) => below,
            None => {
                // It began in a state of which it shows the newest match, and nothing newer.
                let newest = batch.events.first().map(|(position, _)| *position);
                let next =
                    log.next_match(&self.read.query, newest.unwrap_or(Position(batch.through.0.saturating_sub(1))));
                let first = newest.map_or(0, |position| log.state_with(position));
                let last = next.map_or(log.commits(), |next| log.state_with(next).saturating_sub(1));
                claims.push(first..=last);
                Position(newest.map_or(batch.through.0, |newest| newest.0 + 1))
            }
        };
        let mut expected = self.expected(batch.through.0..=below.0.saturating_sub(1));
        expected.reverse();
        self.compare(batch, &expected)?;
        self.shown += batch.events.len() as u64;
        self.through = Some(batch.through);
        let begins = batch.through.0 <= 1 || log.state_at(Position(batch.through.0 - 1)).is_some();
        if !begins && !self.is_full() {
            return Err("it ends inside a commit".to_owned());
        }
        Ok(claims)
    }

    /// What ended by itself has come to the end.
    fn complete(&self, seen: &[Seen]) -> Result<(), String> {
        if self.is_full() {
            return Ok(());
        }
        let complete = match self.read.direction {
            Direction::Forwards => seen.last().is_some_and(|last| last.caught_up),
            Direction::Backwards => self
                .through
                .is_some_and(|through| self.log.matches(&self.read.query, 1..=through.0.saturating_sub(1)).is_empty()),
        };
        if complete { Ok(()) } else { Err("it ended before the end".to_owned()) }
    }
}
