//! One law: its name, what it needs, and how it is asked of a backend. The same for stores and for brokers.

use std::{
    fmt::Debug,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{runtime, time};

use crate::{Backend, Capability, OptOut};

/// A law that hangs is a law that is broken; none takes nearly as many times as long as a backend's patience.
const DEADLINE: u32 = 6;

/// What is under test: a kind of store, or a kind of broker.
pub trait Subjected: Send + Sync + 'static {
    /// What a law may need beyond an open one.
    type Need: Copy + Debug + PartialEq + 'static;

    /// What to call it in messages.
    fn title(&self) -> &'static str;

    /// What it cannot do.
    fn inabilities(&self) -> &'static [OptOut<Self::Need>];

    /// How long a law waits for what must come.
    fn endurance(&self) -> Duration;
}

impl Subjected for dyn Backend {
    type Need = Capability;

    fn title(&self) -> &'static str {
        self.name()
    }

    fn inabilities(&self) -> &'static [OptOut] {
        self.opt_outs()
    }

    fn endurance(&self) -> Duration {
        self.patience()
    }
}

/// One test that every backend of a kind must pass.
pub struct Law<B: Subjected + ?Sized = dyn Backend> {
    /// The group it belongs to, such as `atomic`.
    pub group: &'static str,
    /// What it says.
    pub name: &'static str,
    /// What it needs beyond an open store or broker.
    pub needs: &'static [B::Need],
    /// The test. It panics where the law is broken.
    pub run: for<'a> fn(&'a B) -> BoxFuture<'a, ()>,
}

/// What came of asking a law of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<N = Capability> {
    /// The backend obeys.
    Holds,
    /// The backend does not; this is what the law found.
    Broken(String),
    /// The backend has declared that it cannot be asked.
    NotAsked(OptOut<N>),
}

impl<B: Subjected + ?Sized> Law<B> {
    /// Asks this law of `backend`.
    pub fn judge(&self, backend: Arc<B>) -> Verdict<B::Need> {
        if let Some(opt_out) = self.opted_out(&*backend) {
            return Verdict::NotAsked(opt_out);
        }
        match catch_unwind(AssertUnwindSafe(|| self.ask(&*backend))) {
            Ok(()) => Verdict::Holds,
            Err(panic) => Verdict::Broken(message(&*panic)),
        }
    }

    fn opted_out(&self, backend: &B) -> Option<OptOut<B::Need>> {
        backend.inabilities().iter().find(|opt_out| self.needs.contains(&opt_out.lacks)).copied()
    }

    fn ask(&self, backend: &B) {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("the machine can run two more threads");
        let deadline = backend.endurance() * DEADLINE;
        let done = runtime.block_on(async { time::timeout(deadline, (self.run)(backend)).await });
        runtime.shutdown_background();
        assert!(done.is_ok(), "{}::{} had not come to an end after {deadline:?}", self.group, self.name);
    }
}

impl<B: Subjected + ?Sized> Clone for Law<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Subjected + ?Sized> Copy for Law<B> {}

impl<B: Subjected + ?Sized> Debug for Law<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.group, self.name)
    }
}

/// Asks the law `group::name` of `backend`, as the tests do that [`laws!`](crate::laws) makes.
///
/// # Panics
/// When the law is broken, or there is no such law.
pub fn check(group: &str, name: &str, backend: &dyn Backend) {
    check_one_of(crate::LAWS, group, name, backend);
}

/// Asks the law `group::name` of `laws`, unless the backend has opted out of it.
pub(crate) fn check_one_of<B: Subjected + ?Sized>(
    laws: &[Law<B>],
    group: &str,
    name: &str,
    backend: &B,
) -> Option<OptOut<B::Need>> {
    let law = laws.iter().find(|law| law.group == group && law.name == name);
    let law = law.unwrap_or_else(|| panic!("there is no law {group}::{name}"));
    let opted_out = law.opted_out(backend);
    match opted_out {
        None => law.ask(backend),
        Some(OptOut { lacks, why }) => {
            // Straight to the terminal: the test harness would swallow what a passing test prints.
            let line = format!("NOT ASKED of {}: {law:?} needs {lacks:?}, and {why}\n", backend.title());
            std::io::stderr().write_all(line.as_bytes()).expect("the terminal takes a line");
        }
    }
    opted_out
}

/// Waits for spawned tasks and passes their panics on.
pub(crate) async fn join<T>(tasks: impl IntoIterator<Item = tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut results = Vec::new();
    for task in tasks {
        match task.await {
            Ok(result) => results.push(result),
            Err(error) => resume_unwind(error.into_panic()),
        }
    }
    results
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}
