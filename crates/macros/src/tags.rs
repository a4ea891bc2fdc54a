//! `#[tag]` on fields: which keys a type carries, and the code that writes the tags of one value.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, Field, Fields, Ident, LitStr, Meta, Type, ext::IdentExt};

use crate::at;

/// A key leaves room for `:` and one character of value in a tag of at most 255 bytes.
const MAX_KEY: usize = 253;

/// A field marked as a tag.
pub(crate) struct TagField {
    pub(crate) key: String,
    field: Ident,
    value: Type,
}

/// The tags of the named `fields`, in order.
pub(crate) fn tags_of(fields: &Fields) -> syn::Result<Vec<TagField>> {
    let mut tags = Vec::new();
    for field in fields {
        let Some((attribute, key)) = tag_attribute(field)? else { continue };
        let Some(name) = &field.ident else {
            return Err(syn::Error::new_spanned(attribute, "a tag is a named field: give the field a name"));
        };
        let key = key.unwrap_or_else(|| LitStr::new(&name.unraw().to_string(), name.span()));
        check_key(&key)?;
        tags.push(TagField { key: key.value(), field: name.clone(), value: field.ty.clone() });
    }
    Ok(tags)
}

/// Refuses `#[tag]` on things that are not fields.
pub(crate) fn no_tag_here(attributes: &[Attribute]) -> syn::Result<()> {
    match attributes.iter().find(|attribute| attribute.path().is_ident("tag")) {
        Some(attribute) => Err(syn::Error::new_spanned(attribute, "`#[tag]` belongs on a field")),
        None => Ok(()),
    }
}

/// The keys without repetition: two fields may share a key, such as the two accounts of a transfer.
pub(crate) fn keys<'a>(tags: impl IntoIterator<Item = &'a TagField>) -> Vec<String> {
    let mut keys = Vec::new();
    for tag in tags {
        if !keys.contains(&tag.key) {
            keys.push(tag.key.clone());
        }
    }
    keys
}

/// A match arm that takes a value apart by `pattern` (a type or variant with named fields) and gives its tags.
pub(crate) fn arm(krate: &TokenStream, pattern: &TokenStream, tags: &[TagField]) -> TokenStream {
    if tags.is_empty() {
        return quote!(#pattern { .. } => ::core::result::Result::Ok(::std::vec::Vec::new()));
    }
    let binding = |(index, tag): (usize, &TagField)| format_ident!("tag_{index}", span = at(&tag.value));
    let bindings: Vec<_> = tags.iter().enumerate().map(binding).collect();
    let fields = tags.iter().map(|tag| &tag.field);
    let capacity = tags.len();
    let pushes = tags.iter().zip(&bindings).map(|(tag, binding)| {
        let key = &tag.key;
        // The span of the field's type makes a missing `Display` an error at that type.
        if is_option(&tag.value) {
            quote_spanned! {at(&tag.value)=>
                if let ::core::option::Option::Some(value) = #binding {
                    tags.push(#krate::Tag::new(#key, value)?);
                }
            }
        } else {
            quote_spanned!(at(&tag.value)=> tags.push(#krate::Tag::new(#key, #binding)?);)
        }
    });
    quote! {
        #pattern { #(#fields: #bindings,)* .. } => {
            let mut tags = ::std::vec::Vec::with_capacity(#capacity);
            #(#pushes)*
            ::core::result::Result::Ok(tags)
        }
    }
}

fn tag_attribute(field: &Field) -> syn::Result<Option<(&Attribute, Option<LitStr>)>> {
    let mut found = None;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("tag")) {
        if found.is_some() {
            return Err(syn::Error::new_spanned(attribute, "a field is one tag: remove the second `#[tag]`"));
        }
        let shape = "write `#[tag]` or `#[tag(\"key\")]`";
        let key = match &attribute.meta {
            Meta::Path(_) => None,
            Meta::List(list) => {
                let key = list.parse_args::<LitStr>();
                Some(key.map_err(|_| syn::Error::new_spanned(&list.tokens, shape))?)
            }
            Meta::NameValue(pair) => return Err(syn::Error::new_spanned(pair, shape)),
        };
        found = Some((attribute, key));
    }
    Ok(found)
}

fn check_key(key: &LitStr) -> syn::Result<()> {
    let text = key.value();
    let problem = if text.is_empty() {
        "a tag key must not be empty"
    } else if text.contains(':') {
        "a tag key must not contain `:`, which separates it from the value"
    } else if text.chars().any(char::is_control) {
        "a tag key must not contain control characters"
    } else if text.len() > MAX_KEY {
        "a tag key has at most 253 bytes"
    } else {
        return Ok(());
    };
    Err(syn::Error::new_spanned(key, problem))
}

/// Whether the type is written as `Option<..>`; a derive sees text, not types, so an alias does not count.
fn is_option(value: &Type) -> bool {
    match value {
        Type::Path(path) if path.qself.is_none() => {
            path.path.segments.last().is_some_and(|last| last.ident == "Option")
        }
        Type::Group(group) => is_option(&group.elem),
        Type::Paren(inner) => is_option(&inner.elem),
        _ => false,
    }
}
