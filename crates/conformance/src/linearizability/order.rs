//! Finds out which append wrote each commit, and whether time allows the order.

use std::{
    collections::{HashMap, HashSet},
    ops::RangeInclusive,
};

use mainspring_event::{EventId, Position};
use mainspring_store::Append;

use super::{
    Linearization, NotLinearizable, answers,
    history::{Answer, Call, Machine, Moment, Said},
    log::{Log, States},
    views,
};

/// Something that time says of a commit.
#[derive(Clone, Copy, Debug)]
struct Bound {
    moment: Moment,
    claim: usize,
}

/// A call, or a batch of one, with the states in which it is right.
#[derive(Clone, Debug)]
struct Claim {
    call: usize,
    batch: Option<usize>,
    /// Nothing for the writer of a commit, of which only its beginning counts here.
    states: Option<States>,
    commit: usize,
    until: Moment,
}

/// What is demanded of the moments of the commits.
struct Order<'a> {
    log: &'a Log,
    calls: &'a [Call],
    claims: Vec<Claim>,
    /// For each commit the first call that may have written it.
    writers: HashSet<usize>,
    /// For each commit the highest of its lower bounds.
    after: Vec<Option<Bound>>,
    /// And the lowest of its upper ones.
    by: Vec<Option<Bound>>,
}

/// Looks for a linear order of `calls`, which led to `log`.
pub(super) fn find(log: &mut Log, calls: &[Call], machine: Machine) -> Result<Linearization, NotLinearizable> {
    let writers = writers(log, calls)?;
    let commits = log.commits();
    let (claims, writing) = (Vec::new(), HashSet::new());
    let mut order =
        Order { log, calls, claims, writers: writing, after: vec![None; commits + 1], by: vec![None; commits + 1] };
    let mut found = Linearization { commits, events: log.len(), ..Linearization::default() };
    for (commit, writers) in writers.iter().enumerate() {
        order.written(commit + 1, writers)?;
    }
    for (number, call) in calls.iter().enumerate() {
        order.judge(number, call, machine, &mut found)?;
    }
    order.check()?;
    Ok(found)
}

/// For each commit the calls that may have written it; tells the log where its commits end.
fn writers(log: &mut Log, calls: &[Call]) -> Result<Vec<Vec<usize>>, NotLinearizable> {
    let mut beginning: HashMap<EventId, Vec<(usize, &Append)>> = HashMap::new();
    for (number, call) in calls.iter().enumerate() {
        let Said::Append(append, answer) = &call.said else { continue };
        let may = matches!(answer, None | Some((_, Answer::Written(_) | Answer::Unknown)));
        if let Some(first) = append.events.first().filter(|_| may) {
            beginning.entry(first.id).or_default().push((number, append));
        }
    }
    let mut writers = Vec::new();
    while log.next_commit() < log.len() {
        let start = log.next_commit();
        let all = beginning.get(&log.id(start)).map_or(&[][..], Vec::as_slice);
        let standing: Vec<_> = all.iter().filter(|(_, append)| log.stands(&append.events, start)).collect();
        let length = |(_, append): &&(usize, &Append)| append.events.len();
        // What is longer has events of its own, which nobody else can have written.
        let Some(longest) = standing.iter().copied().map(|one| length(&one)).max() else {
            let what = format!(
                "nobody can have written the event {} at position {}: each append of it was refused or surely not written, \
                 or only a part of it is there",
                log.id(start),
                start + 1
            );
            return Err(NotLinearizable::because(what));
        };
        for shorter in standing.iter().map(&length).filter(|length| *length < longest) {
            let rest = beginning.get(&log.id(start + shorter)).map_or(&[][..], Vec::as_slice);
            let ambiguous = rest.iter().any(|(_, append)| log.stands(&append.events, start + shorter));
            assert!(!ambiguous, "two appends together have the events of a third: the history cannot be judged");
        }
        log.end_commit(longest);
        let candidates = standing.into_iter().filter(|one| length(one) == longest);
        writers.push(candidates.map(|(number, _)| *number).collect());
    }
    Ok(writers)
}

impl Order<'_> {
    /// A commit is written after the first of those began that can have written it.
    fn written(&mut self, commit: usize, writers: &[usize]) -> Result<(), NotLinearizable> {
        let append = |call: usize| match &self.calls[call].said {
            Said::Append(append, _) => append,
            _ => unreachable!("only appends write"),
        };
        let right = writers.iter().copied().filter(|call| self.log.failing(append(*call), commit - 1).is_none());
        if let Some(first) = right.min_by_key(|call| self.calls[*call].began) {
            self.writers.insert(first);
            self.claims.push(Claim { call: first, batch: None, states: None, commit, until: Moment::MAX });
            let began = self.calls[first].began;
            self.after[commit] = Some(Bound { moment: began, claim: self.claims.len() - 1 });
            return Ok(());
        }
        let first = writers[0];
        let check = self.log.failing(append(first), commit - 1);
        let what = format!(
            "it is written from {} on, where its check {check:?} does not hold: before it the head is {}",
            self.log.end(commit - 1).0 + 1,
            self.log.end(commit - 1),
        );
        Err(self.wrong(first, what))
    }

    fn judge(
        &mut self,
        number: usize,
        call: &Call,
        machine: Machine,
        found: &mut Linearization,
    ) -> Result<(), NotLinearizable> {
        match &call.said {
            Said::Append(_, None) => {
                found.calls += 1;
                found.open += 1;
                Ok(())
            }
            Said::Append(append, Some((until, answer))) => {
                found.calls += 1;
                match answer {
                    Answer::Conflict(_) => found.conflicts += 1,
                    Answer::Reused { .. } => found.reused += 1,
                    Answer::Unknown => found.open += 1,
                    Answer::Failed => found.failed += 1,
                    Answer::Written(_) | Answer::Other(_) => {}
                }
                let states = answers::states(self.log, append, answer, machine);
                let states = states.map_err(|what| self.wrong(number, what))?;
                let wrote = matches!(answer, Answer::Written(_)) && !append.events.is_empty();
                found.repeats += usize::from(wrote && !self.writers.contains(&number));
                states.map_or(Ok(()), |states| self.claim(number, None, states, *until))
            }
            Said::Head(None) => Ok(()),
            Said::Head(Some((until, head))) => {
                found.calls += 1;
                let state = self.log.state_at(*head);
                let state = state.ok_or_else(|| self.wrong(number, format!("no commit ends at {head}")))?;
                self.claim(number, None, state..=state, *until)
            }
            Said::Read(read, seen, end) => {
                found.calls += seen.len();
                found.batches += seen.len();
                let claims = views::states(self.log, read, seen, end, machine);
                for (batch, states) in claims.map_err(|what| self.wrong(number, what))? {
                    self.claim(number, Some(batch), states, seen[batch].at)?;
                }
                Ok(())
            }
        }
    }

    /// A call had its moment in one of these states: after the first of them was made, and before the last was left.
    fn claim(
        &mut self,
        call: usize,
        batch: Option<usize>,
        states: States,
        until: Moment,
    ) -> Result<(), NotLinearizable> {
        let (first, last) = (*states.start(), *states.end());
        let began = self.calls[call].began;
        self.claims.push(Claim { call, batch, states: Some(states), commit: first, until });
        let claim = self.claims.len() - 1;
        if first > last {
            return Err(NotLinearizable::because(self.describe(claim)));
        }
        if first > 0 && self.by[first].is_none_or(|bound| until < bound.moment) {
            self.by[first] = Some(Bound { moment: until, claim });
        }
        if let Some(after) = self.after.get_mut(last + 1)
            && after.is_none_or(|bound| bound.moment < began)
        {
            *after = Some(Bound { moment: began, claim });
        }
        Ok(())
    }

    /// Looks for a lower bound above the upper bound of the same or of a later commit.
    fn check(&self) -> Result<(), NotLinearizable> {
        let mut highest: Option<(usize, Bound)> = None;
        for commit in 1..self.after.len() {
            if let Some(after) = self.after[commit]
                && highest.is_none_or(|(_, bound)| bound.moment < after.moment)
            {
                highest = Some((commit, after));
            }
            let (Some((earlier, after)), Some(by)) = (highest, self.by[commit]) else { continue };
            if after.moment > by.moment {
                return Err(NotLinearizable::because(format!(
                    "commit {earlier} comes after moment {}, and commit {commit} before moment {}\n  {}\n  {}",
                    after.moment,
                    by.moment,
                    self.describe(after.claim),
                    self.describe(by.claim),
                )));
            }
        }
        Ok(())
    }

    /// The states that time leaves to a call, by what bounds the commits.
    fn window(&self, began: Moment, until: Moment) -> RangeInclusive<usize> {
        let by = |commit: &usize| self.by[*commit].is_some_and(|bound| bound.moment < began);
        let after = |commit: &usize| self.after[*commit].is_some_and(|bound| bound.moment > until);
        let commits = 1..self.by.len();
        commits.clone().rev().find(by).unwrap_or(0)..=commits.clone().find(after).unwrap_or(commits.end) - 1
    }

    fn describe(&self, claim: usize) -> String {
        let Claim { call, batch, states, commit, until } = &self.claims[claim];
        let began = self.calls[*call].began;
        let batch = batch.map_or(String::new(), |batch| format!(" batch {batch} of"));
        let Some(states) = states else {
            return format!("{} wrote commit {commit}", self.say(*call));
        };
        let right =
            if states.is_empty() { "in no state".to_owned() } else { format!("{}", Stretch(self.log, states.clone())) };
        format!(
            "the answer of{batch} {} by moment {until} is right {right}; tried were those that time leaves to it, {}",
            self.say(*call),
            Stretch(self.log, self.window(began, *until)),
        )
    }

    fn say(&self, call: usize) -> String {
        let Call { client, began, said } = &self.calls[call];
        let said = match said {
            Said::Append(append, answer) => {
                let events: Vec<_> =
                    append.events.iter().map(|event| format!("{} to {}", event.id, event.stream)).collect();
                format!("append {events:?} if {:?}, answered {answer:?}", append.checks)
            }
            Said::Read(read, seen, end) => format!("{read:?} ({} batches, {end:?})", seen.len()),
            Said::Head(answer) => format!("head, answered {answer:?}"),
        };
        format!("call {call} (client {client}, begun at moment {began}: {said})")
    }

    fn wrong(&self, call: usize, what: String) -> NotLinearizable {
        NotLinearizable::because(format!("{what}: {}", self.say(call)))
    }
}

/// States, told by the heads they have.
struct Stretch<'a>(&'a Log, States);

impl std::fmt::Display for Stretch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(log, states) = self;
        let head = |state: &usize| log.end((*state).min(log.commits()));
        let (first, last): (Position, Position) = (head(states.start()), head(states.end()));
        write!(f, "in the states {} to {} (heads {first} to {last})", states.start(), states.end())
    }
}
