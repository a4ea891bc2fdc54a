//! The derives of Mainspring: they spare users the code that would only repeat what a type already says.
//!
//! `Event` makes a struct or an enum something a store can keep, `Tagged` reads the tags of a command, and `FromRef` gives
//! handlers the parts of their state. They are re-exported next to the traits of the same name; nobody depends on this
//! crate by hand.

mod attributes;
mod event;
mod from_ref;
mod serde_attributes;
mod tagged;
mod tags;

use proc_macro::TokenStream;
use proc_macro2::Span;
use syn::{DeriveInput, parse_macro_input, spanned::Spanned};

/// Implements `Event` for a struct or an enum.
///
/// A struct is one event type. An enum is as many as its variants say: a struct variant or a unit variant is a type
/// owned by the enum, a tuple variant `Placed(OrderPlaced)` stands for an event defined elsewhere and gets a `From`.
/// Structs with fields and enums with struct variants also need serde's `Serialize` and `Deserialize`; an enum of tuple
/// variants, which is a view of events defined elsewhere, needs neither.
///
/// On a struct, or on a variant that the enum owns:
/// - `#[event(name = "OrderPlaced")]` sets the stored name; without it the name is the identifier.
/// - `#[event(version = 2)]` sets the schema version, counted from 1.
/// - `#[event(upcast = OrderPlacedV1)]` reads older versions through an older shape, itself an `Event` of the same name
///   and a lower version, that the derived type implements `From` or `TryFrom` for. Several are listed from the oldest
///   to the newest; an old event goes through the oldest shape that is at least as new as it is.
/// - `#[tag]` or `#[tag("key")]` on a field writes the tag `key:value`, the key being the field's name unless given.
///   The field's type implements `Display`; a field written as `Option<..>` gives no tag when it is `None`.
///
/// On the type itself, `#[event(crate = path)]` says where the `Event` trait lives if not in `::mainspring::event`.
#[proc_macro_derive(Event, attributes(event, tag))]
pub fn event(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    event::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `Tagged` for a struct or an enum whose named fields carry `#[tag]` or `#[tag("key")]`, as in
/// `derive(Event)`.
#[proc_macro_derive(Tagged, attributes(event, tag))]
pub fn tagged(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    tagged::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Implements `FromRef` for the type of each field of a struct, so that handlers take parts of their state by type.
///
/// Two fields of one type contradict each other: mark one with `#[from_ref(skip)]`, or give it a type of its own. On the
/// type itself, `#[from_ref(crate = path)]` says where the trait lives if not in `::mainspring::messaging`.
#[proc_macro_derive(FromRef, attributes(from_ref))]
pub fn from_ref(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    from_ref::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Where `tokens` stand, for errors in code written on their behalf; lints still know that a derive wrote it.
fn at(tokens: &impl Spanned) -> Span {
    Span::call_site().located_at(tokens.span())
}
