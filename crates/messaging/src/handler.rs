//! Handlers: async functions whose arguments are made from a delivery; and one call of a handler, with everything that
//! is bound to its success.

use std::{future::Future, time::Duration};

use mainspring_broker::Outcome;
use mainspring_retry::Failure;

use crate::{Committed, Context, Extract, IntoSettlement, Rejection, Settlement};

/// How often a handler is called again at most because others got ahead of what it decided. After that its attempt has
/// failed.
const OVERTAKEN: u32 = 20;

/// An async function that takes deliveries apart.
#[diagnostic::on_unimplemented(
    message = "this is not a handler",
    label = "not a handler",
    note = "a handler is an `async fn` of one to eight arguments, each taken by value, whose future is `Send`"
)]
pub trait Handler<Arguments>: Clone + Send + Sync + 'static {
    /// What it returns.
    type Output;

    /// A call of it.
    type Future: Future<Output = Self::Output>;

    /// Calls it.
    fn call(&self, arguments: Arguments) -> Self::Future;
}

macro_rules! handlers {
    ($(($($argument:ident),*))*) => { $(
        impl<F, Fut, R, $($argument),*> Handler<($($argument,)*)> for F
        where
            F: Fn($($argument),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R>,
        {
            type Output = R;
            type Future = Fut;

            #[expect(non_snake_case, reason = "arguments are called as their types")]
            fn call(&self, ($($argument,)*): ($($argument,)*)) -> Fut {
                self($($argument),*)
            }
        }
    )* };
}

handlers! {
    (A1)
    (A1, A2)
    (A1, A2, A3)
    (A1, A2, A3, A4)
    (A1, A2, A3, A4, A5)
    (A1, A2, A3, A4, A5, A6)
    (A1, A2, A3, A4, A5, A6, A7)
    (A1, A2, A3, A4, A5, A6, A7, A8)
}

/// Calls a handler and commits what its arguments have bound to its success, again while others get ahead.
pub(crate) async fn run<H, A, S>(handler: &H, mut context: Context, state: &S) -> Result<Settlement, Failure>
where
    H: Handler<A, Future: Send, Output: IntoSettlement + Send>,
    A: Extract<S>,
    S: Sync,
{
    let mut overtaken = 0;
    loop {
        let failure = match once(handler, &mut context, state).await? {
            Called::Done(settlement) => return Ok(settlement),
            Called::Overtaken(failure) => failure,
        };
        overtaken += 1;
        if overtaken == OVERTAKEN {
            return Err(failure);
        }
        tracing::debug!(group = %context.group(), overtaken, %failure, "others got ahead; the handler is called again");
        pause(overtaken).await;
    }
}

/// What one call came to.
enum Called {
    Done(Settlement),
    Overtaken(Failure),
}

async fn once<H, A, S>(handler: &H, context: &mut Context, state: &S) -> Result<Called, Failure>
where
    H: Handler<A, Future: Send, Output: IntoSettlement + Send>,
    A: Extract<S>,
    S: Sync,
{
    let arguments = match A::extract(context, state).await {
        Ok(arguments) => arguments,
        Err(rejection) => {
            // An argument before the one that was rejected may have begun a transaction.
            drop(context.take_transaction());
            return match rejection {
                Rejection::Duplicate => Ok(Called::Done(in_batches(context, Settlement::Outcome(Outcome::Ack))?)),
                Rejection::Failed(failure) => Err(failure),
            };
        }
    };
    if A::IN_STORE && context.has_set_aside() {
        // What is committed is the batch as it is.
        drop(context.take_transaction());
        return Ok(Called::Done(without_the_rest(context)));
    }
    let answer = handler.call(arguments).await.into_settlement();
    let transaction = context.take_transaction();
    match (answer, transaction) {
        (Ok(settlement @ (Settlement::Outcome(Outcome::Ack) | Settlement::Reply { .. })), Some(transaction)) => {
            Ok(match transaction.commit().await? {
                Committed::Done => Called::Done(settlement),
                Committed::Settled => Called::Done(settled(settlement)),
                Committed::Overtaken(failure) => Called::Overtaken(failure),
            })
        }
        // Acknowledging some of it would lose what they were to bring about.
        (Ok(Settlement::Each(_)), Some(_)) => {
            Err("a handler that commits answers for its batch as a whole, with `()` or a failure".into())
        }
        (Err(failure), Some(transaction)) if transaction.is_overtaken() => Ok(Called::Overtaken(failure)),
        // Any other answer drops the transaction, which rolls it back.
        (Ok(settlement), _) => Ok(Called::Done(in_batches(context, settlement)?)),
        (Err(failure), _) => Err(failure),
    }
}

/// The same, settled already; an answer is still to be sent.
fn settled(settlement: Settlement) -> Settlement {
    match settlement {
        Settlement::Reply { event, .. } => Settlement::Reply { event, settled: true },
        _ => Settlement::Settled,
    }
}

/// Puts what was set aside of a batch where it belongs: the handler has answered for the rest.
fn in_batches(context: &mut Context, settlement: Settlement) -> Result<Settlement, Failure> {
    let aside = context.take_set_aside();
    if !context.in_batches() {
        return Ok(settlement);
    }
    let rest = context.deliveries().len() - aside.len();
    let mut each = match settlement {
        Settlement::Outcome(_) if aside.is_empty() => return Ok(settlement),
        Settlement::Outcome(Outcome::Ack) => (0..rest).map(|_| Ok(Outcome::Ack)).collect::<Vec<_>>(),
        Settlement::Each(each) if each.len() == rest => each,
        Settlement::Each(each) => {
            let said = each.len();
            return Err(format!("the handler has answered for {said} deliveries of a batch of {rest}").into());
        }
        _ => return Err("a batch is answered as a whole with `()`, or with one result for each".into()),
    };
    for (index, failure) in aside {
        each.insert(index, Err(failure));
    }
    Ok(Settlement::Each(each))
}

/// What was set aside of a batch has failed; the rest of it is given back untried.
fn without_the_rest(context: &mut Context) -> Settlement {
    let mut each: Vec<_> = context.deliveries().iter().map(|_| Ok(Outcome::Release)).collect();
    for (index, failure) in context.take_set_aside() {
        each[index] = Err(failure);
    }
    Settlement::Each(each)
}

/// None after the first time; then longer, so that rivals fall out of step.
async fn pause(overtaken: u32) {
    if overtaken > 1 {
        tokio::time::sleep(Duration::from_millis(1 << overtaken.min(7))).await;
    }
}
