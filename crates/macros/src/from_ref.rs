//! `#[derive(FromRef)]`: the parts of a state that handlers take by their types.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Path, spanned::Spanned};

/// One implementation of `FromRef` for the type of each field of `input`.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let said = Said::parse(&input.attrs)?;
    if said.skip {
        return Err(syn::Error::new_spanned(&input.ident, "`skip` belongs on a field"));
    }
    let krate = said.krate.map_or_else(|| quote!(::mainspring::messaging), |path| quote!(#path));
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new_spanned(&input.ident, "a state is a struct: its fields are its parts"));
    };
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let mut parts = Vec::new();
    for (field, member) in data.fields.iter().zip(data.fields.members()) {
        let said = Said::parse(&field.attrs)?;
        if let Some(path) = said.krate {
            return Err(syn::Error::new_spanned(path, "`crate` belongs on the type, not on a field"));
        }
        if said.skip {
            continue;
        }
        let part = &field.ty;
        let span = crate::at(&field.ty.span());
        parts.push(quote::quote_spanned! {span=>
            #[automatically_derived]
            impl #generics #krate::FromRef<#name #arguments> for #part #bounds {
                fn from_ref(state: &#name #arguments) -> Self {
                    ::core::clone::Clone::clone(&state.#member)
                }
            }
        });
    }
    Ok(quote!(#(#parts)*))
}

/// What `#[from_ref(..)]` says.
#[derive(Default)]
struct Said {
    krate: Option<Path>,
    skip: bool,
}

impl Said {
    fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut said = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("from_ref")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("crate") {
                    said.krate = Some(meta.value()?.call(Path::parse_mod_style)?);
                } else if meta.path.is_ident("skip") {
                    said.skip = true;
                } else {
                    return Err(meta.error("expected `crate` or `skip`"));
                }
                Ok(())
            })?;
        }
        Ok(said)
    }
}
