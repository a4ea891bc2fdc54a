//! The aggregate of these tests: an account that must not be overdrawn.

use mainspring_domain::{Decider, Repository, Snapshot};
use mainspring_event::{Event, NewEvent, StreamName};
use mainspring_store::{EventBatch, EventStore, Query, Read, Store};
use serde::{Deserialize, Serialize};

use futures_util::TryStreamExt;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
pub(crate) enum AccountEvent {
    #[event(version = 2, upcast = DepositedV1)]
    Deposited {
        cents: u64,
    },
    Withdrawn {
        cents: u64,
    },
}

/// Once it was whole units, and more than a thousand at once was a mistake.
#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "Deposited", version = 1)]
pub(crate) struct DepositedV1 {
    pub(crate) units: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} units at once")]
pub(crate) struct TooMuch(u64);

impl TryFrom<DepositedV1> for AccountEvent {
    type Error = TooMuch;

    fn try_from(old: DepositedV1) -> Result<Self, TooMuch> {
        if old.units > 1000 { Err(TooMuch(old.units)) } else { Ok(deposited(old.units * 100)) }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum AccountCommand {
    Deposit(u64),
    /// So many deposits of one cent each.
    DepositCents(usize),
    Withdraw(u64),
    /// Nothing happens if it is empty already.
    Empty,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("only {balance} cents are there")]
pub(crate) struct Overdrawn {
    pub(crate) balance: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) balance: u64,
    pub(crate) movements: u64,
}

impl Decider for Account {
    const CATEGORY: &'static str = "account";
    type Id = u64;
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = Overdrawn;

    fn evolve(&mut self, event: &AccountEvent) {
        self.movements += 1;
        match event {
            AccountEvent::Deposited { cents } => self.balance += cents,
            AccountEvent::Withdrawn { cents } => self.balance -= cents,
        }
    }

    fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
        match command {
            AccountCommand::Deposit(cents) => Ok(vec![deposited(cents)]),
            AccountCommand::DepositCents(times) => Ok(vec![deposited(1); times]),
            AccountCommand::Withdraw(cents) if cents > self.balance => Err(Overdrawn { balance: self.balance }),
            AccountCommand::Withdraw(cents) => Ok(vec![withdrawn(cents)]),
            AccountCommand::Empty if self.balance == 0 => Ok(vec![]),
            AccountCommand::Empty => Ok(vec![withdrawn(self.balance)]),
        }
    }
}

impl Snapshot for Account {
    const VERSION: u32 = 3;
}

pub(crate) fn deposited(cents: u64) -> AccountEvent {
    AccountEvent::Deposited { cents }
}

pub(crate) fn withdrawn(cents: u64) -> AccountEvent {
    AccountEvent::Withdrawn { cents }
}

/// The accounts in `store`, which the caller keeps a hand on.
pub(crate) fn accounts(store: &(impl EventStore + Clone)) -> Repository<Account> {
    Repository::new(&Store::new(store.clone()))
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

/// An event as another program might write it.
pub(crate) fn raw(stream_name: &str, event_type: &str, schema_version: u32, payload: &str) -> NewEvent {
    let mut event = NewEvent::json(stream(stream_name), event_type.parse().unwrap(), payload.to_owned());
    event.schema_version = schema_version;
    event
}

/// Everything that is retained in a stream.
pub(crate) async fn events_of(store: &impl EventStore, name: &str) -> Vec<mainspring_event::StoredEvent> {
    let read = store.read(Read::new(Query::stream(stream(name))));
    let batches: Vec<EventBatch> = read.try_collect().await.unwrap();
    batches.iter().flat_map(EventBatch::iter).map(|event| event.to_stored().unwrap()).collect()
}
