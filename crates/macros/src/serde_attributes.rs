//! The few serde attributes that change how variants are told apart, which the envelope already does by type name.

use syn::{Attribute, Meta, Token, Variant, punctuated::Punctuated};

/// Refuses representations under which a variant is not simply its fields.
pub(crate) fn check_enum(attributes: &[Attribute]) -> syn::Result<()> {
    const FOREIGN: [&str; 6] = ["tag", "content", "untagged", "from", "try_from", "into"];
    refuse(attributes, &FOREIGN, "the stored type name already says which variant it is: an event enum cannot have")
}

/// Refuses variants that serde would not write, or could not read back.
pub(crate) fn check_variant(attributes: &[Attribute]) -> syn::Result<()> {
    const LOST: [&str; 5] = ["skip", "skip_serializing", "skip_deserializing", "other", "untagged"];
    refuse(attributes, &LOST, "the event could not be stored and read back: its variant cannot have")
}

/// The number by which serde's generated code knows the variant at `index`: skipped variants are not counted.
pub(crate) fn number(variants: &Punctuated<Variant, Token![,]>, index: usize) -> u32 {
    let skipped =
        |variant: &&Variant| metas(&variant.attrs).iter().any(|meta| is(meta, &["skip", "skip_deserializing"]));
    let skipped = variants.iter().take(index).filter(skipped).count();
    u32::try_from(index - skipped).expect("an enum has fewer than 2^32 variants")
}

fn refuse(attributes: &[Attribute], names: &[&str], why: &str) -> syn::Result<()> {
    match metas(attributes).iter().find(|meta| is(meta, names)) {
        Some(meta) => {
            let name = meta.path().get_ident().map(ToString::to_string).unwrap_or_default();
            Err(syn::Error::new_spanned(meta, format!("{why} `#[serde({name})]`")))
        }
        None => Ok(()),
    }
}

fn is(meta: &Meta, names: &[&str]) -> bool {
    names.iter().any(|name| meta.path().is_ident(name))
}

/// What stands in `#[serde(..)]`; what cannot be parsed is left for serde's own derive to report.
fn metas(attributes: &[Attribute]) -> Vec<Meta> {
    let serde = attributes.iter().filter(|attribute| attribute.path().is_ident("serde"));
    serde
        .filter_map(|attribute| attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok())
        .flatten()
        .collect()
}
