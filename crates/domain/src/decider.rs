//! The decider: an aggregate as two pure functions and an initial state.

use std::fmt::Display;

use mainspring_event::Event;

/// An aggregate. The type is its state, [`Default`] the state before the first event.
///
/// Both functions are pure and synchronous: no clock, no services. Time and whatever must be looked up come in with the
/// command; effects belong to handlers and sagas.
///
/// ```
/// use mainspring_domain::{Decider, testing::given};
/// use mainspring_event::Event;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(crate = mainspring_event)]
/// enum AccountEvent {
///     Deposited { cents: u64 },
///     Withdrawn { cents: u64 },
/// }
/// #[derive(Clone)]
/// enum AccountCommand {
///     Deposit(u64),
///     Withdraw(u64),
/// }
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// #[error("only {balance} cents are there")]
/// struct Overdrawn {
///     balance: u64,
/// }
/// #[derive(Default)]
/// struct Account {
///     balance: u64,
/// }
///
/// impl Decider for Account {
///     const CATEGORY: &'static str = "account"; // streams account-1, account-2, …
///     type Id = u64;
///     type Command = AccountCommand;
///     type Event = AccountEvent;
///     type Error = Overdrawn;
///
///     fn evolve(&mut self, event: &AccountEvent) {
///         match event {
///             AccountEvent::Deposited { cents } => self.balance += cents,
///             AccountEvent::Withdrawn { cents } => self.balance -= cents,
///         }
///     }
///
///     fn decide(&self, command: AccountCommand) -> Result<Vec<AccountEvent>, Overdrawn> {
///         match command {
///             AccountCommand::Deposit(cents) => Ok(vec![AccountEvent::Deposited { cents }]),
///             AccountCommand::Withdraw(cents) if cents > self.balance => Err(Overdrawn { balance: self.balance }),
///             AccountCommand::Withdraw(cents) => Ok(vec![AccountEvent::Withdrawn { cents }]),
///         }
///     }
/// }
///
/// let deposited = AccountEvent::Deposited { cents: 70 };
/// given::<Account>([deposited.clone()]).when(AccountCommand::Withdraw(50)).then([AccountEvent::Withdrawn { cents: 50 }]);
/// given::<Account>([deposited]).when(AccountCommand::Withdraw(80)).then_rejected(Overdrawn { balance: 70 });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decider",
    note = "implement `Decider` for the state of the aggregate; a command over several entities is a `Decision`"
)]
pub trait Decider: Default + Send + Sync + 'static {
    /// The first part of the names of its streams, before the `-`.
    const CATEGORY: &'static str;
    /// The second part.
    type Id: Display + Send + Sync + ?Sized;
    /// What can be asked of it. Cloned for each attempt, because a conflict makes it decide again.
    type Command: Clone + Send + Sync;
    /// What can have happened to it: every type of event in its streams.
    type Event: Event;
    /// Why it can refuse.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Takes in what has happened. It cannot fail: the event is a fact.
    fn evolve(&mut self, event: &Self::Event);

    /// Says what happens because of `command`: nothing, one event, or several that are stored together.
    ///
    /// # Errors
    /// Why the command is refused. Nothing happens then.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;
}
