//! Which generation is read and which is built, decided from what there is.

use mainspring_projection::{Generation, Opened};

/// What a generation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Readers see it.
    Current,
    /// It replaces the current one when it has caught up.
    Building,
    /// It was current. It is kept for readers that still have it, and removed the next time its projection is opened.
    Retired,
}

/// What is to be opened, and what that changes.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) opened: Opened<Generation>,
    /// Generations with a new state.
    pub(crate) changed: Vec<(Generation, State)>,
    /// A generation that must begin empty.
    pub(crate) fresh: Option<Generation>,
    /// Generations that nobody needs any more.
    pub(crate) obsolete: Vec<Generation>,
}

/// Decides for a program that has `version` of a projection of which these generations are `known`.
pub(crate) fn plan(known: &[(Generation, State)], version: u32, rebuild: bool) -> Plan {
    let newest = |wanted: State| {
        known
            .iter()
            .filter(|(generation, state)| generation.version == version && *state == wanted)
            .map(|found| found.0)
            .max()
    };
    let numbers = known.iter().filter(|(generation, _)| generation.version == version).map(|found| found.0.number);
    let unused = Generation { version, number: numbers.max().unwrap_or(0) + 1 };
    let current = known.iter().find(|(_, state)| *state == State::Current).map(|found| found.0);
    let settled = current.filter(|current| current.version == version);
    // A retired generation of another version's time only has to catch up: going back to an older program is quick.
    let reused = newest(State::Building).or_else(|| newest(State::Retired).filter(|_| settled.is_none()));
    let next = reused.filter(|_| !rebuild);

    let (opened, chosen) = match (current, settled) {
        (None, _) => {
            let first = next.unwrap_or(unused);
            (Opened::Settled(first), Some((first, State::Current)))
        }
        (_, Some(current)) if next.is_none() && !rebuild => (Opened::Settled(current), None),
        (Some(current), _) => {
            let next = next.unwrap_or(unused);
            (Opened::Building { current, next }, Some((next, State::Building)))
        }
    };
    let is_settled = opened.next().is_none();
    let obsolete = known.iter().filter(|(generation, state)| {
        let used = generation == opened.current() || opened.next() == Some(generation);
        // While something is built, another program may be building another version.
        !used && (is_settled || *state == State::Retired || generation.version == version)
    });
    let obsolete = obsolete.map(|found| found.0).collect();
    let fresh = chosen.map(|(generation, _)| generation).filter(|generation| *generation == unused);
    Plan { opened, changed: chosen.into_iter().collect(), fresh, obsolete }
}

#[cfg(test)]
mod tests {
    use super::{State::*, *};

    fn generation(version: u32, number: u32) -> Generation {
        Generation { version, number }
    }

    #[track_caller]
    fn check(known: &[(u32, u32, State)], version: u32, rebuild: bool, expected: &str) {
        let known: Vec<_> =
            known.iter().map(|&(version, number, state)| (generation(version, number), state)).collect();
        let plan = plan(&known, version, rebuild);
        let short = |generation: &Generation| format!("{}.{}", generation.version, generation.number);
        let mut said = match &plan.opened {
            Opened::Settled(current) => format!("read {}", short(current)),
            Opened::Building { current, next } => format!("read {} build {}", short(current), short(next)),
        };
        if let Some(fresh) = &plan.fresh {
            said += &format!(" fresh {}", short(fresh));
        }
        for obsolete in &plan.obsolete {
            said += &format!(" remove {}", short(obsolete));
        }
        assert_eq!(said, expected);
    }

    #[test]
    fn the_first_generation_is_read_from_the_beginning() {
        check(&[], 1, false, "read 1.1 fresh 1.1");
        check(&[(1, 1, Current)], 1, false, "read 1.1");
    }

    #[test]
    fn another_version_is_built_beside_the_old_one() {
        check(&[(1, 1, Current)], 2, false, "read 1.1 build 2.1 fresh 2.1");
        check(&[(1, 1, Current), (2, 1, Building)], 2, false, "read 1.1 build 2.1");
        check(&[(1, 1, Current), (2, 1, Building)], 3, false, "read 1.1 build 3.1 fresh 3.1");
    }

    #[test]
    fn what_was_replaced_is_removed_at_the_next_open() {
        check(&[(1, 1, Retired), (2, 1, Current)], 2, false, "read 2.1 remove 1.1");
        check(&[(1, 1, Current), (2, 1, Building)], 1, false, "read 1.1 remove 2.1");
    }

    #[test]
    fn going_back_to_an_older_program_goes_on_with_its_tables() {
        check(&[(1, 1, Retired), (2, 1, Current)], 1, false, "read 2.1 build 1.1");
    }

    #[test]
    fn a_rebuild_begins_empty_and_is_resumed_until_it_is_done() {
        check(&[(1, 1, Current)], 1, true, "read 1.1 build 1.2 fresh 1.2");
        check(&[(1, 1, Current), (1, 2, Building)], 1, false, "read 1.1 build 1.2");
        check(&[(1, 1, Current), (1, 2, Building)], 1, true, "read 1.1 build 1.3 fresh 1.3 remove 1.2");
        check(&[(1, 1, Retired), (1, 2, Current)], 1, true, "read 1.2 build 1.3 fresh 1.3 remove 1.1");
        check(&[(1, 1, Retired), (2, 1, Current)], 1, true, "read 2.1 build 1.2 fresh 1.2 remove 1.1");
    }

    #[test]
    fn a_lost_current_generation_is_replaced_by_what_there_is() {
        check(&[(1, 2, Building)], 1, false, "read 1.2");
        check(&[(2, 1, Building)], 1, false, "read 1.1 fresh 1.1 remove 2.1");
    }
}
