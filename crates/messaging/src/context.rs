//! What surrounds one call of a handler: the delivery, what arguments have bound to it, and what layers leave for others.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    sync::Arc,
};

use mainspring_broker::{Delivery, Group, Settler};
use mainspring_retry::Failure;

use crate::{BoxFuture, Publisher};

/// One call of a handler: what it is called with, and what its arguments have bound to its success.
///
/// It is the request that tower layers see.
pub struct Context {
    deliveries: Arc<[Arc<Delivery>]>,
    surroundings: Arc<Surroundings>,
    transaction: Option<Box<dyn Transaction>>,
    set_aside: Vec<(usize, Failure)>,
    extensions: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

/// What all calls of one subscription share.
pub(crate) struct Surroundings {
    pub(crate) group: Group,
    /// Whether handlers take many deliveries at once.
    pub(crate) in_batches: bool,
    pub(crate) settler: Option<Arc<dyn Settler>>,
    pub(crate) publisher: Option<Publisher>,
}

/// Work that is bound to the success of a handler. It is committed after the handler succeeded and before its delivery
/// is acknowledged; dropping it rolls it back.
pub trait Transaction: Send {
    /// Commits it.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Committed, Failure>>;

    /// Whether it can never be committed any more, because others got ahead. The handler is then called again, although
    /// it failed.
    fn is_overtaken(&self) -> bool {
        false
    }
}

/// What a commit came to.
#[derive(Debug)]
#[non_exhaustive]
pub enum Committed {
    /// Done; the delivery is to be acknowledged now.
    Done,
    /// Done, and the delivery with it: there is nothing left to settle.
    Settled,
    /// Others got ahead: the handler is to be called again. That is no attempt.
    Overtaken(Failure),
}

impl Context {
    pub(crate) fn new(deliveries: Arc<[Arc<Delivery>]>, surroundings: Arc<Surroundings>) -> Self {
        assert!(!deliveries.is_empty(), "a handler is called because of at least one delivery");
        Self { deliveries, surroundings, transaction: None, set_aside: Vec::new(), extensions: HashMap::new() }
    }

    /// The delivery; of a batch, the first.
    pub fn delivery(&self) -> &Arc<Delivery> {
        &self.deliveries[0]
    }

    /// Every delivery, in their order: one, unless the subscription is handled in batches.
    pub fn deliveries(&self) -> &[Arc<Delivery>] {
        &self.deliveries
    }

    /// The group of the subscription.
    pub fn group(&self) -> &Group {
        &self.surroundings.group
    }

    /// What settles the delivery, for work that commits together with it. There is none outside the runtime.
    pub fn settler(&self) -> Option<&Arc<dyn Settler>> {
        self.surroundings.settler.as_ref()
    }

    /// What publishes on the same broker. There is none outside the runtime.
    pub fn publisher(&self) -> Option<&Publisher> {
        self.surroundings.publisher.as_ref()
    }

    /// Binds work to the success of the handler.
    ///
    /// # Panics
    /// When there is some already: arguments declare theirs in
    /// [`FromDelivery::TRANSACTIONS`](crate::FromDelivery::TRANSACTIONS), and two fail the build.
    pub fn bind(&mut self, transaction: impl Transaction + 'static) {
        assert!(self.transaction.is_none(), "an argument binds a transaction that it has not declared");
        self.transaction = Some(Box::new(transaction));
    }

    /// What a layer or another argument has left under its type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.extensions.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref())
    }

    /// Leaves a value under its type.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.extensions.insert(TypeId::of::<T>(), Box::new(value));
    }

    /// Takes one delivery of a batch out of it, as failed.
    pub(crate) fn set_aside(&mut self, index: usize, failure: Failure) {
        self.set_aside.push((index, failure));
    }

    pub(crate) fn in_batches(&self) -> bool {
        self.surroundings.in_batches
    }

    pub(crate) fn has_set_aside(&self) -> bool {
        !self.set_aside.is_empty()
    }

    pub(crate) fn take_set_aside(&mut self) -> Vec<(usize, Failure)> {
        std::mem::take(&mut self.set_aside)
    }

    pub(crate) fn take_transaction(&mut self) -> Option<Box<dyn Transaction>> {
        self.transaction.take()
    }
}
