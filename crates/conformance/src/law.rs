//! One law: its name, what it needs, and how it is asked of a backend.

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use tokio::{runtime, time};

use crate::{Backend, Capability, OptOut};

/// A law that hangs is a law that is broken; none takes nearly as many times as long as a backend's patience.
const DEADLINE: u32 = 6;

/// One test that every store must pass.
#[derive(Clone, Copy)]
pub struct Law {
    /// The group it belongs to, such as `atomic`.
    pub group: &'static str,
    /// What it says.
    pub name: &'static str,
    /// What it needs beyond an open store.
    pub needs: &'static [Capability],
    /// The test. It panics where the law is broken.
    pub run: for<'a> fn(&'a dyn Backend) -> BoxFuture<'a, ()>,
}

/// What came of asking a law of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The store obeys.
    Holds,
    /// The store does not; this is what the law found.
    Broken(String),
    /// The backend has declared that it cannot be asked.
    NotAsked(OptOut),
}

impl Law {
    /// Asks this law of `backend`.
    pub fn judge(&self, backend: Arc<dyn Backend>) -> Verdict {
        if let Some(opt_out) = self.opted_out(&*backend) {
            return Verdict::NotAsked(opt_out);
        }
        match catch_unwind(AssertUnwindSafe(|| self.ask(&*backend))) {
            Ok(()) => Verdict::Holds,
            Err(panic) => Verdict::Broken(message(&*panic)),
        }
    }

    fn opted_out(&self, backend: &dyn Backend) -> Option<OptOut> {
        backend.opt_outs().iter().find(|opt_out| self.needs.contains(&opt_out.lacks)).copied()
    }

    fn ask(&self, backend: &dyn Backend) {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("the machine can run two more threads");
        let deadline = backend.patience() * DEADLINE;
        let done = runtime.block_on(async { time::timeout(deadline, (self.run)(backend)).await });
        runtime.shutdown_background();
        assert!(done.is_ok(), "{}::{} had not come to an end after {deadline:?}", self.group, self.name);
    }
}

impl std::fmt::Debug for Law {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.group, self.name)
    }
}

/// Asks the law `group::name` of `backend`, as the tests do that [`laws!`](crate::laws) makes.
///
/// # Panics
/// When the law is broken, or there is no such law.
pub fn check(group: &str, name: &str, backend: &dyn Backend) {
    let law = crate::LAWS.iter().find(|law| law.group == group && law.name == name);
    let law = law.unwrap_or_else(|| panic!("there is no law {group}::{name}"));
    match law.opted_out(backend) {
        None => law.ask(backend),
        Some(OptOut { lacks, why }) => {
            // Straight to the terminal: the test harness would swallow what a passing test prints.
            let line = format!("NOT ASKED of {}: {law:?} needs {lacks:?}, and {why}\n", backend.name());
            std::io::stderr().write_all(line.as_bytes()).expect("the terminal takes a line");
        }
    }
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
