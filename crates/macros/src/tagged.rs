//! `#[derive(Tagged)]`: the tags of a command select the events that its decision reads.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput};

use crate::{
    attributes::EventAttributes,
    tags::{self, no_tag_here, tags_of},
};

/// The implementation of `Tagged` for `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    no_tag_here(&input.attrs)?;
    let krate = EventAttributes::parse(&input.attrs)?.krate();
    let mut all = Vec::new();
    let mut arms = Vec::new();
    match &input.data {
        Data::Struct(data) => {
            let tags = tags_of(&data.fields)?;
            arms.push(tags::arm(&krate, &quote!(Self), &tags));
            all.extend(tags);
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                no_tag_here(&variant.attrs)?;
                let (name, tags) = (&variant.ident, tags_of(&variant.fields)?);
                arms.push(tags::arm(&krate, &quote!(Self::#name), &tags));
                all.extend(tags);
            }
        }
        Data::Union(_) => return Err(syn::Error::new_spanned(&input.ident, "a union has no tags")),
    }
    if all.is_empty() {
        return Err(syn::Error::new_spanned(&input.ident, "nothing is tagged: mark at least one field with `#[tag]`"));
    }
    let keys = tags::keys(&all);
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #krate::Tagged for #name #arguments #bounds {
            const KEYS: &'static [&'static str] = &[#(#keys),*];

            fn tags(&self) -> ::core::result::Result<::std::vec::Vec<#krate::Tag>, #krate::NameError> {
                match self {
                    #(#arms,)*
                }
            }
        }
    })
}
