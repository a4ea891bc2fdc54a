//! An enum is the sum of its variants: types of its own, and events defined elsewhere.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::{DeriveInput, Fields, Ident, Token, Type, Variant, punctuated::Punctuated};

use super::{Implementation, Owned};
use crate::{
    at,
    attributes::EventAttributes,
    serde_attributes,
    tags::{self, no_tag_here, tags_of},
};

/// What each variant adds to the implementation.
#[derive(Default)]
struct Parts {
    types: Vec<TokenStream>,
    event_types: Vec<TokenStream>,
    tags: Vec<TokenStream>,
    encodes: Vec<TokenStream>,
    /// Arms of a match on the stored name.
    decodes: Vec<TokenStream>,
    /// Statements for the names that no arm knows.
    delegates: Vec<TokenStream>,
    /// Items beside the implementation.
    items: Vec<TokenStream>,
}

/// The implementation of `Event` for the enum `input`.
pub(super) fn expand(
    input: &DeriveInput,
    variants: &Punctuated<Variant, Token![,]>,
    attributes: &EventAttributes,
) -> syn::Result<TokenStream> {
    attributes.describe_nothing("an enum has no event type of its own: put this on a variant")?;
    if variants.is_empty() {
        return Err(syn::Error::new_spanned(&input.ident, "an event enum has at least one variant"));
    }
    let krate = &attributes.krate();
    let mut parts = Parts::default();
    let mut held = Vec::new();
    for (index, variant) in variants.iter().enumerate() {
        no_tag_here(&variant.attrs)?;
        let said = EventAttributes::parse(&variant.attrs)?;
        said.say_no_crate()?;
        if let Fields::Unnamed(_) = &variant.fields {
            let event = event_held_by(variant, &said, &mut held)?;
            parts.add_delegate(krate, &input.ident, &variant.ident, event);
            continue;
        }
        if let Fields::Named(_) = &variant.fields {
            serde_attributes::check_enum(&input.attrs)?;
            serde_attributes::check_variant(&variant.attrs)?;
        }
        let owned = Owned::new(&variant.ident, &said, tags_of(&variant.fields)?)?;
        parts.add_owned(krate, variant, &owned, serde_attributes::number(variants, index));
    }
    Ok(parts.build(krate, &input.ident))
}

/// The type in a tuple variant, which must be one other event.
fn event_held_by<'a>(variant: &'a Variant, said: &EventAttributes, held: &mut Vec<String>) -> syn::Result<&'a Type> {
    said.describe_nothing("a tuple variant stands for an event defined elsewhere: put this on that event")?;
    tags_of(&variant.fields)?;
    let mut fields = variant.fields.iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        let message = "a tuple variant holds exactly one event defined elsewhere; name the fields to define one here";
        return Err(syn::Error::new_spanned(variant, message));
    };
    let text = field.ty.to_token_stream().to_string();
    if held.contains(&text) {
        return Err(syn::Error::new_spanned(&field.ty, "another variant already holds this event"));
    }
    held.push(text);
    Ok(&field.ty)
}

impl Parts {
    fn add_owned(&mut self, krate: &TokenStream, variant: &Variant, owned: &Owned<'_>, number: u32) {
        let (identifier, stored_name) = (&variant.ident, &owned.name);
        let event_type = owned.event_type(krate);
        let upcasts = owned.upcasts(krate);
        let unit = matches!(variant.fields, Fields::Unit);
        self.types.push(quote!(&[#event_type]));
        self.event_types.push(quote!(Self::#identifier { .. } => &#event_type));
        self.tags.push(tags::arm(krate, &quote!(Self::#identifier), &owned.tags));
        // The spans make a missing serde derive an error at the variant that needs it.
        let (encode, read) = if unit {
            (
                quote!(::core::result::Result::Ok(#krate::derive_support::encode_unit())),
                quote! {
                    #krate::derive_support::decode_unit(&#event_type, version, content_type, payload)?;
                    ::core::result::Result::Ok(Self::#identifier {})
                },
            )
        } else {
            (
                quote_spanned!(at(identifier)=> #krate::derive_support::encode_variant(#stored_name, self)),
                quote_spanned! {at(identifier)=>
                    #krate::derive_support::decode_variant(&#event_type, #number, version, content_type, payload)
                },
            )
        };
        self.encodes.push(quote!(Self::#identifier { .. } => #encode));
        self.decodes.push(quote!(#stored_name => { #upcasts return { #read }; }));
        self.items.push(owned.checks(krate));
    }

    fn add_delegate(&mut self, krate: &TokenStream, name: &Ident, variant: &Ident, event: &Type) {
        // The span makes a missing `Event` an error at the type.
        let this = quote_spanned!(at(event)=> <#event as #krate::Event>);
        self.types.push(quote!(#this::TYPES));
        self.event_types.push(quote!(Self::#variant(event) => #this::event_type(event)));
        self.tags.push(quote!(Self::#variant(event) => #this::tags(event)));
        self.encodes.push(quote!(Self::#variant(event) => #this::encode(event)));
        self.delegates.push(quote! {
            if #krate::derive_support::knows(#this::TYPES, name) {
                return #this::decode(name, version, content_type, payload).map(Self::#variant);
            }
        });
        self.items.push(quote! {
            #[automatically_derived]
            impl ::core::convert::From<#event> for #name {
                fn from(event: #event) -> Self {
                    Self::#variant(event)
                }
            }
        });
    }

    fn build(self, krate: &TokenStream, name: &Ident) -> TokenStream {
        let Self { types, event_types, tags, encodes, decodes, delegates, items } = self;
        let own = if decodes.is_empty() {
            None
        } else {
            // Two equal names are reported once, by the check below, and not also as an unreachable arm.
            Some(quote! {
                #[allow(unreachable_patterns)]
                match name { #(#decodes)* _ => {} }
            })
        };
        let implementation = Implementation {
            types: quote! {{
                const PARTS: &[&[#krate::EventType]] = &[#(#types),*];
                const ALL: [#krate::EventType; #krate::derive_support::total(PARTS)] =
                    #krate::derive_support::concat(PARTS);
                &ALL
            }},
            event_type: quote!(match self { #(#event_types,)* }),
            tags: quote!(match self { #(#tags,)* }),
            encode: quote!(match self { #(#encodes,)* }),
            decode: quote! {
                #own
                #(#delegates)*
                ::core::result::Result::Err(#krate::DecodeError::unknown_type(name))
            },
        };
        let implementation = implementation.build(krate, name);
        let message = "two variants stand for the same event type: every variant needs a name of its own";
        // The span makes the check point at the enum's name.
        let distinct = quote_spanned! {at(name)=>
            const _: () = assert!(#krate::derive_support::distinct(<#name as #krate::Event>::TYPES), #message);
        };
        quote!(#implementation #(#items)* #distinct)
    }
}
