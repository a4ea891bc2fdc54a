//! Layer 0 of Mainspring: how a failure of user code is classified, and when it is tried again.
//!
//! Projections, handlers and saga steps all fail with a [`Failure`]. Any error converts into it with `?` and means "try
//! again by schedule"; [`Advise`] says otherwise.
//!
//! ```
//! use mainspring_retry::{Advice, Advise, Failure};
//!
//! fn parse(row: &str) -> Result<u64, Failure> {
//!     row.parse::<u64>().permanent() // no second look makes it a number
//! }
//! assert_eq!(parse("seven").unwrap_err().advice(), Advice::Never);
//! ```

mod causes;
mod failure;
mod retry;

pub use causes::with_causes;
pub use failure::{Advice, Advise, BoxError, Failure};
pub use retry::Retry;
