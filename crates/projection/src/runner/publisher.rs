//! Tells readers and watchers how far the projection is.

use mainspring_event::Position;
use tokio::sync::watch;

use super::{engine::Model, follower::Role};
use crate::{Building, FailureReport, Opened, Phase, Projection, Status, View, projected::Reading};

pub(super) struct Publisher<R> {
    reading: watch::Sender<Reading<R>>,
    status: watch::Sender<Status>,
}

impl<R: Clone> Publisher<R> {
    /// Nothing is known yet but what there is to read.
    pub(super) fn new<P: Projection>(current: &Model<P>) -> Self
    where
        P::View: View<Reader = R>,
    {
        let (reader, reading) = (P::View::reader(current), P::View::generation(current));
        let status = Status {
            name: P::NAME,
            version: P::VERSION,
            phase: Phase::CatchingUp,
            reading,
            at: Position::START,
            head: Position::START,
            building: None,
            failure: None,
        };
        let reading = Reading { reader, generation: reading, at: Position::START };
        Self { reading: watch::Sender::new(reading), status: watch::Sender::new(status) }
    }

    pub(super) fn subscribe(&self) -> (watch::Receiver<Reading<R>>, watch::Receiver<Status>) {
        (self.reading.subscribe(), self.status.subscribe())
    }

    /// Everything up to here is in what readers see.
    pub(super) fn at(&self) -> Position {
        self.reading.borrow().at
    }

    /// What there is has been opened, and readers find everything up to `at` in it.
    pub(super) fn opened<P: Projection>(&self, opened: &Opened<Model<P>>, at: Position, head: Position)
    where
        P::View: View<Reader = R>,
    {
        let building = opened.next().map(P::View::generation);
        self.status.send_modify(|status| {
            status.head = status.head.max(head);
            status.building = building.map(|generation| Building { generation, at: Position::START, failure: None });
        });
        self.switched::<P>(opened.current(), at);
    }

    /// Readers see `model` from now on, and find everything up to `at` in it.
    pub(super) fn switched<P: Projection>(&self, model: &Model<P>, at: Position)
    where
        P::View: View<Reader = R>,
    {
        let (reader, generation) = (P::View::reader(model), P::View::generation(model));
        self.reading.send_modify(|reading| {
            // What was reached by reading on over nothing is true of the same generation opened again.
            let at = if reading.generation == generation { at.max(reading.at) } else { at };
            *reading = Reading { reader, generation, at };
        });
        self.status.send_modify(|status| {
            status.at = self.at();
            status.reading = generation;
            status.building.take_if(|building| building.generation == generation);
            // Whatever kept the generation before it from going on is of no concern any more.
            status.failure = None;
        });
    }

    /// A follower has come to `at`.
    pub(super) fn progress(&self, role: Role, at: Position, caught_up: bool) {
        if role == Role::Current {
            self.reading.send_if_modified(|reading| {
                let moved = reading.at < at;
                reading.at = reading.at.max(at);
                moved
            });
        }
        self.status.send_modify(|status| {
            status.head = status.head.max(at);
            match (role, &mut status.building) {
                (Role::Current, _) => {
                    status.at = status.at.max(at);
                    status.phase = if caught_up { Phase::Live } else { Phase::CatchingUp };
                }
                (Role::Next, Some(building)) => building.at = at,
                (Role::Next, None) => {}
            }
        });
    }

    /// The store says where its head is.
    pub(super) fn head(&self, head: Position) {
        self.status.send_modify(|status| status.head = status.head.max(head));
    }

    /// A follower has met a failure, or has got over it.
    pub(super) fn failure(&self, role: Role, report: Option<FailureReport>) {
        self.status.send_modify(|status| match (role, &mut status.building) {
            (Role::Current, _) => status.failure = report,
            (Role::Next, Some(building)) => building.failure = report,
            (Role::Next, None) => {}
        });
    }

    /// Nothing runs any more.
    pub(super) fn stopped(&self) {
        self.status.send_modify(|status| status.phase = Phase::Stopped);
    }
}
