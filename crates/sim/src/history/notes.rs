//! What happens in a history: a number that stands for all of it, and, where that was asked for, a log.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use super::step::Step;

/// Notes of one history, shared by those who take them.
#[derive(Clone)]
pub(super) struct Notes(Rc<Pages>);

struct Pages {
    digest: Cell<u64>,
    step: Cell<u64>,
    doing: RefCell<Rc<Step>>,
    /// `None` where nobody will read it: making the text would take longer than all the rest.
    lines: Option<RefCell<Vec<String>>>,
}

impl Notes {
    pub(super) fn new(log: bool) -> Self {
        let lines = log.then(RefCell::default);
        let doing = RefCell::new(Rc::new(Step::Begin));
        Self(Rc::new(Pages { digest: Cell::new(0), step: Cell::new(0), doing, lines }))
    }

    /// Begins the next step.
    pub(super) fn begin(&self, step: Rc<Step>) {
        self.0.step.set(self.step() + 1);
        self.say(|| format!("{:>5} {step:?}", self.step()));
        *self.0.doing.borrow_mut() = step;
        self.count(1);
    }

    /// Which step it is.
    pub(super) fn step(&self) -> u64 {
        self.0.step.get()
    }

    /// What is being done in it.
    pub(super) fn doing(&self) -> String {
        format!("{:?}", self.0.doing.borrow())
    }

    /// Lets a number that came of it have its part in the digest.
    pub(super) fn count(&self, number: u64) {
        let mixed = (self.0.digest.get() ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0.digest.set(mixed.rotate_left(29));
    }

    /// Adds a line to the log.
    pub(super) fn say(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.0.lines {
            lines.borrow_mut().push(line());
        }
    }

    pub(super) fn digest(&self) -> u64 {
        self.0.digest.get()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lines.as_ref().map(RefCell::take).unwrap_or_default()
    }
}
