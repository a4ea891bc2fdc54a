//! Handlers with what they handle and the state they share: what a program registers and then runs.

use std::time::Duration;

use mainspring_broker::{Ensure, Topic};
use mainspring_event::EventType;
use mainspring_retry::BoxError;
use tower::{Layer, Service};

use crate::{Context, Extract, Handler, IntoSettlement, Route, Settlement, Subscription, Takes};

/// How long handlers are waited for: less than what an application allows its tasks.
const GRACE: Duration = Duration::from_secs(20);

/// Handlers and the state they share. The state comes first, so that the compiler knows it at each [`on`](Self::on).
///
/// A wrong argument, state or result fails the build with a message that names it.
#[must_use = "handlers do nothing until they are prepared and run"]
pub struct Subscriptions<S> {
    state: S,
    pub(crate) entries: Vec<Entry>,
    pub(crate) topics: Vec<Topic>,
    pub(crate) ensure: Ensure,
    pub(crate) grace: Duration,
}

/// One subscription with its handler.
pub(crate) struct Entry {
    pub(crate) subscription: Subscription,
    pub(crate) route: Route,
    /// The event types of each argument that cares.
    pub(crate) accepts: Vec<&'static [EventType]>,
    pub(crate) takes: Takes,
    pub(crate) in_store: bool,
}

impl<S: Clone + Send + Sync + 'static> Subscriptions<S> {
    /// No handlers yet.
    pub fn new(state: S) -> Self {
        Self { state, entries: Vec::new(), topics: Vec::new(), ensure: Ensure::Create, grace: GRACE }
    }

    /// Handles what `subscription` gets.
    pub fn on<H, A>(mut self, subscription: Subscription, handler: H) -> Self
    where
        H: Handler<A, Future: Send, Output: IntoSettlement + Send>,
        A: Extract<S> + 'static,
    {
        const {
            assert!(A::TRANSACTIONS <= 1, "a handler holds at most one transaction: one `Once` or one `Commit`");
        }
        let takes = const { A::TAKES };
        let route = Route::new::<H, A, S>(handler, self.state.clone());
        let (accepts, in_store) = (A::accepts(), A::IN_STORE);
        self.entries.push(Entry { subscription, route, accepts, takes, in_store });
        self
    }

    /// Puts a tower layer around every handler that was registered so far. Its requests are [`Context`]s; its errors
    /// are failed attempts. It is around the transaction of a handler, too.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<Route>,
        L::Service: Service<Context, Response = Settlement> + Clone + Send + Sync + 'static,
        <L::Service as Service<Context>>::Error: Into<BoxError>,
        <L::Service as Service<Context>>::Future: Send + 'static,
    {
        self.entries =
            self.entries.into_iter().map(|entry| Entry { route: entry.route.layered(&layer), ..entry }).collect();
        self
    }

    /// Adds the handlers of another module, whatever their state.
    pub fn merge<T>(mut self, other: Subscriptions<T>) -> Self {
        self.entries.extend(other.entries);
        self.topics.extend(other.topics);
        self
    }

    /// Says how a topic is to be made. Without this, a topic that does not exist is created with one partition, and one
    /// that does is taken as it is.
    pub fn topic(mut self, topic: Topic) -> Self {
        self.topics.push(topic);
        self
    }

    /// How long handlers are waited for after the subscriptions were asked to stop; without this, 20 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Creates nothing: topics and groups must be there and as they should be. For accounts that may not create any.
    pub fn verify_only(mut self) -> Self {
        self.ensure = Ensure::Verify;
        self
    }
}
