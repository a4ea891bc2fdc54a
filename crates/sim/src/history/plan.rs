//! What a seed makes of a history: a configuration, the kinds of trouble there are in it, and one step after the other.

use std::time::Duration;

use mainspring_conformance::Seed;
use mainspring_store::{Append, Query, Read, ReadFrom};

use super::{appends::Appends, mishap::Mishap, model::Model, queries, step::Step, subject::Subject};
use crate::{Fault, Operation, Unsynced};

/// The source of steps.
pub(super) struct Plan {
    seed: Seed,
    appends: Appends,
    steps: u64,
    trouble: Trouble,
    /// Whether backups are taken.
    backups: bool,
    /// Whether the disk was filled up.
    full: bool,
}

/// Which kinds of trouble there are. Not all in every history: what is always there hides what it hinders.
#[derive(Clone, Copy)]
struct Trouble {
    crashes: bool,
    errors: bool,
    room: bool,
    rot: bool,
    pace: bool,
}

/// The size of segments in this history.
pub(super) fn segment_bytes(seed: u64) -> u64 {
    // A source of its own, because the store is made before its plan.
    Seed::new(seed ^ 0x5e6_8e47)
        .pick(&[600, 1_024, 1_024, 2_048, 2_048, 4_096, 4_096, 4_096, 8_192, 8_192, 16_384, 65_536])
}

/// What writes of the log must be multiples of in this history.
pub(super) fn alignment(seed: u64) -> usize {
    Seed::new(seed ^ 0x00a1_1640).pick(&[1, 512, 4096])
}

impl Plan {
    pub(super) fn new(seed: u64) -> Self {
        let segment_bytes = segment_bytes(seed);
        let mut seed = Seed::new(seed);
        let appends = Appends::new(&mut seed, segment_bytes);
        let trouble = Trouble {
            crashes: seed.once_in(2),
            errors: seed.once_in(2),
            room: seed.once_in(3),
            rot: seed.once_in(3),
            pace: seed.once_in(3),
        };
        // Segments have to be full before there is something to be removed from them.
        let steps = if appends.removing { seed.within(12..=28) } else { seed.within(6..=24) };
        Self { appends, steps, trouble, backups: seed.once_in(2), full: false, seed }
    }

    /// The next step, or none at the end.
    pub(super) async fn next(&mut self, model: &Model, subject: &Subject) -> Option<Step> {
        self.steps = self.steps.checked_sub(1)?;
        let may_set_back = self.may_set_back();
        if let Some(step) = self.upkeep(subject.sick) {
            return Some(step);
        }
        let seed = &mut self.seed;
        // What has failed may come back in a second life.
        if subject.sick && seed.once_in(2) || subject.failed && seed.once_in(3) {
            return Some(self.second_life());
        }
        if self.full && seed.once_in(4) {
            self.full = false;
            return Some(Step::Free);
        }
        Some(match seed.within(0..=99) {
            0..=42 => Step::Append(self.appends.group(seed, model).await, Self::apart(seed)),
            43..=46 => Step::Abandon(self.appends.plain(seed), seed.within(0..=4)),
            47..=56 => Step::Read(queries::read(seed, model, subject.now())),
            57..=58 => Step::Resume(queries::read(seed, model, subject.now())),
            59..=62 => Step::Follow(self.followed(model)),
            63..=64 => Step::Beside(queries::read(seed, model, subject.now())),
            65..=66 => Step::Beholder(queries::read(seed, model, subject.now())),
            67..=70 if may_set_back && seed.once_in(2) => Step::SetBack(self.time()),
            67..=70 => Step::Wait(self.time()),
            71..=73 => self.second_life(),
            74 => Step::LoseDerived(seed.draw()),
            75..=76 => Step::Verify,
            _ => self.troubled(model, subject).await,
        })
    }

    /// What is done to a store beside its work.
    fn upkeep(&mut self, sick: bool) -> Option<Step> {
        let Trouble { crashes, errors, room, .. } = self.trouble;
        if self.appends.removing && self.seed.once_in(8) {
            let mishap = Mishap::draw(&mut self.seed, (crashes, errors, room));
            self.full |= matches!(mishap, Mishap::Fill(_));
            return Some(Step::Scavenge(mishap));
        }
        if self.appends.removing && self.seed.once_in(12) {
            return Some(Step::Beholder(Read::new(queries::everything())));
        }
        // A store that takes no more events holds what is not durable, which a backup must leave out.
        if self.backups && sick && self.seed.once_in(2) {
            return Some(Step::Backup(Mishap::Nothing, self.unsynced()));
        }
        if self.backups && self.seed.once_in(12) {
            let mishap = Mishap::draw(&mut self.seed, (true, true, true));
            let restores = self.seed.once_in(3);
            let unsynced = self.unsynced();
            return Some(if restores {
                Step::Restore(mishap, self.seed.draw())
            } else {
                Step::Backup(mishap, unsynced)
            });
        }
        None
    }

    /// An append of new events, and nothing else.
    pub(super) fn plain(&mut self) -> Append {
        self.appends.plain(&mut self.seed)
    }

    /// Lots for what is drawn while a step is taken.
    pub(super) fn seed(&mut self) -> &mut Seed {
        &mut self.seed
    }

    /// Whether the clock may be set back. Not where rules by age apply; nor where appends fail, because a store may go on
    /// from the time that it had given to one of those.
    fn may_set_back(&self) -> bool {
        !(self.appends.aging || self.trouble.errors || self.trouble.room)
    }

    /// How many turns lie between appends that are sent together: none, so that they are committed together, or as many as
    /// a commit takes, so that they come to its every stage.
    fn apart(seed: &mut Seed) -> u64 {
        if seed.once_in(2) { 0 } else { seed.within(1..=5) }
    }

    fn time(&mut self) -> Duration {
        Duration::from_secs(self.seed.within(0..=900))
    }

    /// A read for a follower.
    fn followed(&mut self, model: &Model) -> Read {
        let from = if self.seed.once_in(3) { ReadFrom::End } else { ReadFrom::Start };
        let query = if self.seed.once_in(2) { Query::All } else { queries::query(&mut self.seed, model) };
        Read::new(query).from(from).follow()
    }

    /// A way for a store to end and to begin again.
    fn second_life(&mut self) -> Step {
        if self.trouble.crashes && self.seed.once_in(2) {
            Step::Crash(self.unsynced())
        } else {
            Step::Reopen { close: self.seed.once_in(2) }
        }
    }

    /// What a crash leaves.
    pub(super) fn unsynced(&mut self) -> Unsynced {
        self.seed.pick(&[Unsynced::Random, Unsynced::Random, Unsynced::Dropped, Unsynced::Kept])
    }

    /// A step that makes trouble, of the kinds that this history has.
    async fn troubled(&mut self, model: &Model, subject: &Subject) -> Step {
        let Trouble { crashes, errors, room, rot, pace } = self.trouble;
        let kinds = [(crashes, 3), (errors, 4), (room, 2), (rot, 1), (pace, 1)];
        let lots = kinds.iter().enumerate().filter(|(_, (wanted, _))| *wanted);
        let lots: Vec<_> = lots.flat_map(|(kind, (_, weight))| std::iter::repeat_n(kind, *weight)).collect();
        let seed = &mut self.seed;
        if lots.is_empty() {
            return Step::Append(self.appends.group(seed, model).await, Self::apart(seed));
        }
        match seed.pick(&lots) {
            0 if seed.once_in(3) => Step::Crash(self.unsynced()),
            0 => Step::PowerCut(seed.within(1..=12)),
            1 => match seed.within(0..=5) {
                0 => Step::Heal,
                1 => Step::Evict,
                _ => Step::Fail(self.fault(subject)),
            },
            2 => {
                self.full = true;
                Step::Fill(seed.within(0..=3_000))
            }
            3 => Step::Rot(seed.draw()),
            _ if seed.once_in(2) => Step::ShortWrites(seed.once_in(2)),
            _ => {
                let kind = seed.pick(&[Operation::Sync, Operation::Read, Operation::Map]);
                Step::Slow(kind, Duration::from_micros(seed.within(0..=1)))
            }
        }
    }

    /// An operation that fails while the store is opened after a crash.
    pub(super) fn fault_after_crash(&mut self) -> Option<Fault> {
        let wanted = self.trouble.errors && self.seed.once_in(3);
        wanted.then(|| Fault::on(self.seed.pick(&Operation::ALL)).after(self.seed.within(0..=2)))
    }

    /// An operation that will fail, here or there.
    fn fault(&mut self, subject: &Subject) -> Fault {
        let seed = &mut self.seed;
        let common = [Operation::Write, Operation::Sync, Operation::SetLen, Operation::Read];
        let common = seed.once_in(2).then(|| seed.pick(&common));
        let operation = common.unwrap_or_else(|| seed.pick(&Operation::ALL));
        let mut fault = Fault::on(operation).after(seed.within(0..=if common.is_some() { 5 } else { 1 }));
        if seed.once_in(3) {
            fault = fault.times(seed.within(2..=4));
        }
        let newest = subject.disk.names().into_iter().rfind(|name| name.ends_with(".log"));
        if let (Operation::Write | Operation::Sync, Some(log), true) = (operation, newest, seed.once_in(2)) {
            // Frames that are written are what can come back although they have failed.
            fault = fault.of(log);
        } else if seed.once_in(4) {
            let mut names = subject.disk.names();
            names.extend(["MANIFEST.new".to_owned(), "SYNCED".to_owned()]);
            fault = fault.of(names.swap_remove(seed.index(names.len())));
        }
        if seed.once_in(5) && matches!(operation, Operation::Read | Operation::Map | Operation::Write) {
            let start = seed.within(0..=4_000);
            fault = fault.within(start..start + 512);
        }
        if seed.once_in(5) && operation.is_change() {
            fault = fault.full();
        }
        fault
    }
}
