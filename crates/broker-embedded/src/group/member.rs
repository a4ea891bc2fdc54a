//! Who takes part in a group.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use mainspring_broker::{Limit, SubscriptionSpec};
use tokio::sync::Notify;

pub(crate) struct Member {
    pub(crate) spec: SubscriptionSpec,
    /// Whether somebody asks for messages: not any more after its `Deliveries` was dropped.
    pub(crate) fetching: bool,
    pub(crate) closing: bool,
    pub(crate) paused: BTreeSet<usize>,
    pub(crate) notices: VecDeque<Notice>,
    /// What the call of `next` that waits would take.
    pub(crate) want: Option<Limit>,
    /// The messages whose attempt is on its way to the store.
    pub(crate) taking: usize,
    /// The messages for its next call.
    pub(crate) mailbox: VecDeque<u64>,
    /// Until when those wait for that call.
    pub(crate) kept: VecDeque<(Timestamp, u64)>,
    /// What it has and what it is about to have.
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// When its deliveries end, in their order, with the number and the epoch of each. Those that were settled or
    /// extended are still there for a while.
    pub(crate) leases: VecDeque<(Timestamp, u64, u64)>,
    pub(crate) wake: Arc<Notify>,
}

/// What a member is to be told, of slices by their places in the group.
pub(crate) enum Notice {
    Assigned(Vec<usize>),
    Revoking(Vec<usize>, Timestamp),
    Lost(Vec<usize>),
}

impl Member {
    pub(crate) fn new(spec: SubscriptionSpec) -> Self {
        Self {
            spec,
            fetching: true,
            closing: false,
            paused: BTreeSet::new(),
            notices: VecDeque::new(),
            want: None,
            taking: 0,
            mailbox: VecDeque::new(),
            kept: VecDeque::new(),
            messages: 0,
            bytes: 0,
            leases: VecDeque::new(),
            wake: Arc::new(Notify::new()),
        }
    }

    /// When the first of its deliveries ends, or what waits for its next call waits no more.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        let lease = self.leases.front().map(|(until, _, _)| *until);
        let kept = self.kept.front().map(|(until, _)| *until);
        lease.into_iter().chain(kept).min()
    }

    /// Whether it waits for messages and may have some.
    pub(crate) fn is_hungry(&self) -> bool {
        self.want.is_some()
            && self.fetching
            && !self.closing
            && self.taking == 0
            && self.mailbox.is_empty()
            && self.messages < self.spec.prefetch.messages
    }
}
