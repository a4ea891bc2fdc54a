//! `#[derive(Event)]`: a struct is one event type, an enum the sum of its variants.

mod enumeration;
mod structure;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Data, DeriveInput, Ident, Path};

use crate::{
    at,
    attributes::EventAttributes,
    tags::{self, TagField, no_tag_here},
};

/// The implementation of `Event` for `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    no_tag_here(&input.attrs)?;
    if let Some(parameter) = input.generics.params.first() {
        let message = "an event cannot be generic: every event type has one name and one shape in the store";
        return Err(syn::Error::new_spanned(parameter, message));
    }
    let attributes = EventAttributes::parse(&input.attrs)?;
    match &input.data {
        Data::Struct(data) => structure::expand(&input.ident, &data.fields, &attributes),
        Data::Enum(data) => enumeration::expand(input, &data.variants, &attributes),
        Data::Union(_) => Err(syn::Error::new_spanned(&input.ident, "a union cannot be an event")),
    }
}

/// One event type that is defined here, by a struct or by a variant.
struct Owned<'a> {
    name: String,
    version: u32,
    tags: Vec<TagField>,
    upcasts: &'a [Path],
}

impl<'a> Owned<'a> {
    fn new(identifier: &Ident, attributes: &'a EventAttributes, tags: Vec<TagField>) -> syn::Result<Self> {
        let name = attributes.name_or(identifier)?;
        Ok(Self { name, version: attributes.version(), tags, upcasts: &attributes.upcasts })
    }

    /// The `EventType`, as a constant expression.
    fn event_type(&self, krate: &TokenStream) -> TokenStream {
        let (name, version, keys) = (&self.name, self.version, tags::keys(&self.tags));
        quote!(#krate::EventType { name: #name, version: #version, tags: &[#(#keys),*] })
    }

    /// Statements that return the event read through an older shape, if the stored version asks for one.
    fn upcasts(&self, krate: &TokenStream) -> TokenStream {
        let steps = self.upcasts.iter().map(|old| {
            quote_spanned! {at(old)=>
                if version <= <#old as #krate::Event>::TYPES[0].version {
                    return #krate::derive_support::upcast::<#old, Self>(name, version, content_type, payload);
                }
            }
        });
        quote!(#(#steps)*)
    }

    /// Items that fail the build when an upcast cannot be one.
    fn checks(&self, krate: &TokenStream) -> TokenStream {
        let this = self.event_type(krate);
        let mut older = quote!(0);
        let checks: Vec<_> = self
            .upcasts
            .iter()
            .map(|old| {
                let types = quote_spanned!(at(old)=> <#old as #krate::Event>::TYPES);
                let check = quote_spanned! {at(old)=>
                    const _: () = #krate::derive_support::check_upcast(&#this, #types, #older);
                };
                older = quote!(#types[0].version);
                check
            })
            .collect();
        quote!(#(#checks)*)
    }
}

/// The parts of an implementation of `Event` that differ from one to another.
struct Implementation {
    types: TokenStream,
    event_type: TokenStream,
    tags: TokenStream,
    encode: TokenStream,
    decode: TokenStream,
}

impl Implementation {
    fn build(self, krate: &TokenStream, name: &Ident) -> TokenStream {
        let Self { types, event_type, tags, encode, decode } = self;
        quote! {
            #[automatically_derived]
            impl #krate::Event for #name {
                const TYPES: &'static [#krate::EventType] = #types;

                fn event_type(&self) -> &'static #krate::EventType {
                    #event_type
                }

                fn tags(&self) -> ::core::result::Result<::std::vec::Vec<#krate::Tag>, #krate::NameError> {
                    #tags
                }

                fn encode(&self) -> ::core::result::Result<#krate::Payload, #krate::EncodeError> {
                    #encode
                }

                fn decode(
                    name: &str,
                    version: u32,
                    content_type: &str,
                    payload: &[u8],
                ) -> ::core::result::Result<Self, #krate::DecodeError> {
                    #decode
                }
            }
        }
    }
}
