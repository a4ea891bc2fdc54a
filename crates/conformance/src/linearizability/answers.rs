//! In which states the answer of an append is right. For each answer these are consecutive.

use mainspring_event::Position;
use mainspring_store::{Append, Appended, Check, Conflict};

use super::{
    history::{Answer, Machine},
    log::{Log, States},
};

/// No state at all.
#[expect(clippy::reversed_empty_ranges, reason = "an empty range is meant")]
const NEVER: States = 1..=0;

/// The states in which an append is answered so; nothing for an answer that says nothing of the state.
///
/// # Errors
/// What is wrong with the answer in every state.
pub(super) fn states(log: &Log, append: &Append, answer: &Answer, machine: Machine) -> Result<Option<States>, String> {
    match answer {
        Answer::Written(appended) if append.events.is_empty() => nothing_written(log, append, appended).map(Some),
        Answer::Written(appended) => written(log, append, appended).map(Some),
        Answer::Conflict(conflict) => {
            let states = conflicting(log, append, conflict)?;
            // Ids are looked up before checks, so none of them was known.
            let known = append.events.iter().filter_map(|event| log.position_of(event.id)).min();
            Ok(Some(known.map_or(states.clone(), |first| before(states, log.state_with(first)))))
        }
        Answer::Reused { id, position } => {
            if !append.events.iter().any(|event| event.id == *id) || log.position_of(*id) != Some(*position) {
                return Err(format!("the id {id} is not at {position}, or not in the append"));
            }
            let states = log.state_with(*position)..=log.commits();
            // Once all of it is known as it is, the answer is the original one.
            let complete = log.all_known(&append.events).map(|last| log.state_with(last));
            Ok(Some(complete.map_or(states.clone(), |complete| before(states, complete))))
        }
        Answer::Failed | Answer::Unknown if machine == Machine::Failing => Ok(None),
        Answer::Failed | Answer::Unknown => Err("nothing failed under the store".to_owned()),
        Answer::Other(what) => Err(format!("{what} is no answer to it")),
    }
}

/// Those of the states that lie before another.
fn before(states: States, end: usize) -> States {
    match end.checked_sub(1) {
        Some(last) => *states.start()..=last.min(*states.end()),
        None => NEVER,
    }
}

/// An append without events is right in the state whose end it was told, if its checks hold there.
fn nothing_written(log: &Log, append: &Append, appended: &Appended) -> Result<States, String> {
    if !appended.written.is_empty() {
        return Err("an append without events wrote some".to_owned());
    }
    let state = log.state_at(appended.position);
    let state = state.ok_or_else(|| format!("no commit ends at {}", appended.position))?;
    match log.failing(append, state) {
        None => Ok(state..=state),
        Some(check) => Err(format!("{check:?} does not hold when {} is the head", appended.position)),
    }
}

/// A receipt is right from the commit of its last event on, be it this append's own or an earlier one's.
fn written(log: &Log, append: &Append, appended: &Appended) -> Result<States, String> {
    if append.events.len() != appended.written.len() {
        return Err("not every event has a place".to_owned());
    }
    let mut last = Position::START;
    for (event, place) in append.events.iter().zip(&appended.written) {
        let stored = log.get(place.position);
        let same = stored.is_some_and(|stored| stored.version == place.version) && log.holds(event, place.position);
        if !same || place.position <= last {
            return Err(format!("the event {} is not at {} as {}", event.id, place.position, place.version));
        }
        last = place.position;
    }
    if last != appended.position {
        return Err(format!("its last event is at {last}"));
    }
    Ok(log.state_with(last)..=log.commits())
}

/// A conflict is right where the check that it names fails with the numbers that it gives.
fn conflicting(log: &Log, append: &Append, conflict: &Conflict) -> Result<States, String> {
    let asked = append.checks.iter().any(|check| match (check, conflict) {
        (Check::Stream { stream, expected }, Conflict::Stream { stream: other, expected: told, .. }) => {
            (stream, expected) == (other, told)
        }
        (Check::NoMatch { query, after }, Conflict::Match { query: other, after: told, .. }) => {
            (query, after) == (other, told)
        }
        _ => false,
    });
    if !asked {
        return Err("it has no such check".to_owned());
    }
    match conflict {
        Conflict::Stream { expected, actual, .. } if expected.holds(*actual) => {
            Err(format!("{actual} is {expected}, so that is no conflict"))
        }
        Conflict::Stream { stream, actual, .. } => {
            let states = log.states_with_head(stream, *actual);
            states.end.checked_sub(1).map_or(Ok(NEVER), |last| Ok(states.start..=last))
        }
        Conflict::Match { query, after, position } => {
            let first = log.next_match(query, after.unwrap_or_default());
            if first != Some(*position) {
                return Err(format!("the first match is at {first:?}"));
            }
            Ok(log.state_with(*position)..=log.commits())
        }
    }
}
