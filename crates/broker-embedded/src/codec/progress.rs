//! How far a group has come, as it lies in the group's stream: records one after the other, each of which says how
//! something is from then on. A snapshot is a sequence of the same records.

use bytes::Bytes;
use jiff::Timestamp;

use super::{Damaged, Reader, Write};

/// What is known of a message that was tried and is not settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) attempts: u32,
    pub(crate) first: Option<Timestamp>,
    pub(crate) not_before: Option<Timestamp>,
    /// Whether it became a dead letter and holds its key.
    pub(crate) dead: bool,
}

/// One step of a group. A slice is named by its place in the sorted slices of the group; runs are pairs of an offset and a
/// count, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// These are settled.
    Settled { slice: u32, runs: Vec<(u64, u64)> },
    /// So many messages one after the other are as this says.
    Tried { slice: u32, start: u64, count: u64, tried: Tried },
    /// Everything below `floor` and in `runs` is settled, nothing else is, and nothing was tried.
    Moved { slice: u32, floor: u64, runs: Vec<(u64, u64)> },
}

const SETTLED: u8 = 1;
const TRIED: u8 = 2;
const MOVED: u8 = 3;

const HAS_FIRST: u8 = 1;
const HAS_NOT_BEFORE: u8 = 2;
const IS_DEAD: u8 = 4;

impl Record {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Settled { slice, runs } => {
                out.push(SETTLED);
                out.number((*slice).into());
                write_runs(out, runs);
            }
            Self::Tried { slice, start, count, tried } => {
                out.push(TRIED);
                out.number((*slice).into());
                out.number(*start);
                out.number(*count);
                out.number(tried.attempts.into());
                let flag = |there: bool, flag: u8| if there { flag } else { 0 };
                out.push(
                    flag(tried.first.is_some(), HAS_FIRST)
                        | flag(tried.not_before.is_some(), HAS_NOT_BEFORE)
                        | flag(tried.dead, IS_DEAD),
                );
                [tried.first, tried.not_before].into_iter().flatten().for_each(|moment| out.moment(moment));
            }
            Self::Moved { slice, floor, runs } => {
                out.push(MOVED);
                out.number((*slice).into());
                out.number(*floor);
                write_runs(out, runs);
            }
        }
    }

    /// Reads the records of one event.
    pub(crate) fn read_all(bytes: Bytes) -> Result<Vec<Self>, Damaged> {
        let mut reader = Reader::new(bytes);
        let mut records = Vec::new();
        while !reader.is_empty() {
            records.push(Self::read(&mut reader)?);
        }
        Ok(records)
    }

    fn read(reader: &mut Reader) -> Result<Self, Damaged> {
        let kind = reader.byte()?;
        let slice = reader.count()?;
        match kind {
            SETTLED => Ok(Self::Settled { slice, runs: read_runs(reader)? }),
            TRIED => {
                let (start, count) = (reader.number()?, reader.number()?);
                let attempts = reader.count()?;
                let flags = reader.byte()?;
                let first = if flags & HAS_FIRST != 0 { Some(reader.moment()?) } else { None };
                let not_before = if flags & HAS_NOT_BEFORE != 0 { Some(reader.moment()?) } else { None };
                let tried = Tried { attempts, first, not_before, dead: flags & IS_DEAD != 0 };
                Ok(Self::Tried { slice, start, count, tried })
            }
            MOVED => Ok(Self::Moved { slice, floor: reader.number()?, runs: read_runs(reader)? }),
            _ => Err(Damaged("a step of a group of an unknown kind")),
        }
    }
}

/// Each run as its distance from the end of the one before, and its length.
fn write_runs(out: &mut Vec<u8>, runs: &[(u64, u64)]) {
    out.number(runs.len() as u64);
    let mut end = 0;
    for (start, count) in runs {
        debug_assert!(*start >= end, "runs ascend");
        out.number(start - end);
        out.number(*count);
        end = start + count;
    }
}

fn read_runs(reader: &mut Reader) -> Result<Vec<(u64, u64)>, Damaged> {
    let mut runs = Vec::new();
    let mut end = 0_u64;
    for _ in 0..reader.number()? {
        let (distance, count) = (reader.number()?, reader.number()?);
        let start = end.checked_add(distance).ok_or(Damaged("an offset is too large"))?;
        end = start.checked_add(count).ok_or(Damaged("an offset is too large"))?;
        runs.push((start, count));
    }
    Ok(runs)
}

/// Joins ascending offsets into runs.
pub(crate) fn runs_of(offsets: impl IntoIterator<Item = u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for offset in offsets {
        match runs.last_mut() {
            Some((start, count)) if *start + *count == offset => *count += 1,
            _ => runs.push((offset, 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written once is read for ever.
    #[test]
    fn the_format_stays_as_it_is() {
        let moment = |second| Some(Timestamp::new(second, 1).unwrap());
        let tried = Tried { attempts: 300, first: moment(1), not_before: moment(2), dead: true };
        let records = [
            Record::Settled { slice: 1, runs: runs_of([5, 6, 9]) },
            Record::Tried { slice: 0, start: 7, count: 2, tried },
            Record::Tried { slice: 0, start: 7, count: 1, tried: Tried::default() },
            Record::Moved { slice: 2, floor: 4, runs: vec![(6, 200)] },
        ];
        let mut written = Vec::new();
        records.iter().for_each(|record| record.write(&mut written));
        let golden: &[u8] = b"\x01\x01\x02\x05\x02\x02\x01\x02\0\x07\x02\xac\x02\x07\x02\x02\x04\x02\x02\0\x07\x01\0\0\
            \x03\x02\x04\x01\x06\xc8\x01";
        assert_eq!(written, golden);
        assert_eq!(Record::read_all(Bytes::from_static(golden)).unwrap(), records);
        for cut in 0..golden.len() {
            let _ = Record::read_all(Bytes::from_static(&golden[..cut])); // Damage must not panic.
        }
    }

    #[test]
    fn an_unknown_step_is_an_error() {
        assert!(Record::read_all(Bytes::from_static(b"\x09\x01")).is_err());
    }
}
