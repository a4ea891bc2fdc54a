//! What handlers share: pools, clients, configuration.

use super::{FromDelivery, Rejection};
use crate::Context;

/// The handlers' state, or a part of it.
#[derive(Clone, Copy, Debug)]
pub struct State<T>(pub T);

/// A part of a state: derive it on the state, and each field can be taken by its type.
///
/// ```
/// use mainspring_messaging::FromRef;
///
/// #[derive(Clone, FromRef)]
/// # #[from_ref(crate = mainspring_messaging)]
/// struct Services {
///     greeting: String,
///     limit: u32,
/// }
///
/// let services = Services { greeting: "hello".to_owned(), limit: 3 };
/// assert_eq!(String::from_ref(&services), "hello");
/// assert_eq!(u32::from_ref(&services), 3);
/// ```
#[diagnostic::on_unimplemented(
    message = "the handlers' state `{S}` has no `{Self}`",
    label = "not a part of the handlers' state",
    note = "add a field of this type to the state, which derives `FromRef`"
)]
pub trait FromRef<S> {
    /// A copy of the part.
    fn from_ref(state: &S) -> Self;
}

/// The whole is a part of itself.
impl<S: Clone> FromRef<S> for S {
    fn from_ref(state: &S) -> Self {
        state.clone()
    }
}

impl<S: Sync, T: FromRef<S> + Send> FromDelivery<S> for State<T> {
    async fn from_delivery(_: &mut Context, state: &S) -> Result<Self, Rejection> {
        Ok(Self(T::from_ref(state)))
    }
}
