//! A struct is one event type: its payload is its fields.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Fields, Ident};

use super::{Implementation, Owned};
use crate::{
    at,
    attributes::EventAttributes,
    tags::{self, tags_of},
};

/// The implementation of `Event` for the struct `name`.
pub(super) fn expand(name: &Ident, fields: &Fields, attributes: &EventAttributes) -> syn::Result<TokenStream> {
    let tags = tags_of(fields)?;
    if matches!(fields, Fields::Unnamed(_)) {
        let message = "the fields of an event have names, so that later versions can add to them";
        return Err(syn::Error::new_spanned(fields, message));
    }
    let krate = &attributes.krate();
    let owned = Owned::new(name, attributes, tags)?;
    let (event_type, stored_name) = (owned.event_type(krate), &owned.name);
    let tags = tags::arm(krate, &quote!(Self), &owned.tags);
    let upcasts = owned.upcasts(krate);
    // The span makes a missing serde derive an error at the struct's name.
    let (encode, read) = match fields {
        Fields::Unit => (
            quote!(::core::result::Result::Ok(#krate::derive_support::encode_unit())),
            quote! {
                #krate::derive_support::decode_unit(&Self::TYPES[0], version, content_type, payload)?;
                ::core::result::Result::Ok(Self)
            },
        ),
        _ => (
            quote_spanned!(at(name)=> #krate::derive_support::encode_struct(#stored_name, self)),
            quote_spanned! {at(name)=>
                #krate::derive_support::decode_struct(&Self::TYPES[0], version, content_type, payload)
            },
        ),
    };
    let implementation = Implementation {
        types: quote!(&[#event_type]),
        event_type: quote!(&Self::TYPES[0]),
        tags: quote!(match self { #tags }),
        encode,
        decode: quote! {
            if name != #stored_name {
                return ::core::result::Result::Err(#krate::DecodeError::unknown_type(name));
            }
            #upcasts
            #read
        },
    };
    let (implementation, checks) = (implementation.build(krate, name), owned.checks(krate));
    Ok(quote!(#implementation #checks))
}
