//! What users write in `#[event(..)]`, checked and with errors that point at it.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Attribute, LitInt, LitStr, Path, ext::IdentExt, spanned::Spanned};

/// A stored name has at most this many bytes, as every name of an event.
const MAX_NAME: usize = 255;

/// What the `#[event(..)]` attributes of one type or variant say.
#[derive(Default)]
pub(crate) struct EventAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<(u32, Span)>,
    pub(crate) upcasts: Vec<Path>,
    pub(crate) krate: Option<Path>,
}

impl EventAttributes {
    pub(crate) fn parse(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut parsed = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("event")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    let name: LitStr = meta.value()?.parse()?;
                    check_name(&name)?;
                    once(&mut parsed.name, name, &meta.path)
                } else if meta.path.is_ident("version") {
                    let version: LitInt = meta.value()?.parse()?;
                    once(&mut parsed.version, (counted_from_one(&version)?, version.span()), &meta.path)
                } else if meta.path.is_ident("upcast") {
                    parsed.upcasts.push(meta.value()?.parse()?);
                    Ok(())
                } else if meta.path.is_ident("crate") {
                    once(&mut parsed.krate, meta.value()?.call(Path::parse_mod_style)?, &meta.path)
                } else {
                    Err(meta.error("expected `name`, `version`, `upcast` or `crate`"))
                }
            })?;
        }
        Ok(parsed)
    }

    /// The path under which the generated code finds the traits.
    pub(crate) fn krate(&self) -> TokenStream {
        self.krate.as_ref().map_or_else(|| quote!(::mainspring::event), |path| quote!(#path))
    }

    /// The stored name: the given one, or the identifier.
    pub(crate) fn name_or(&self, identifier: &syn::Ident) -> syn::Result<String> {
        match &self.name {
            Some(name) => Ok(name.value()),
            None => {
                let name = identifier.unraw().to_string();
                check_name(&LitStr::new(&name, identifier.span()))?;
                Ok(name)
            }
        }
    }

    pub(crate) fn version(&self) -> u32 {
        self.version.map_or(1, |(version, _)| version)
    }

    /// Refuses everything that describes one event type, where there is not one event type to describe.
    pub(crate) fn describe_nothing(&self, why: &str) -> syn::Result<()> {
        let name = self.name.as_ref().map(Spanned::span);
        let version = self.version.map(|(_, span)| span);
        let upcast = self.upcasts.first().map(Spanned::span);
        match name.or(version).or(upcast) {
            Some(span) => Err(syn::Error::new(span, why)),
            None => Ok(()),
        }
    }

    /// Refuses `crate` anywhere but on the type itself.
    pub(crate) fn say_no_crate(&self) -> syn::Result<()> {
        match &self.krate {
            Some(path) => Err(syn::Error::new_spanned(path, "`crate` belongs on the type, not on a variant")),
            None => Ok(()),
        }
    }
}

fn once<T>(slot: &mut Option<T>, value: T, key: &Path) -> syn::Result<()> {
    if slot.is_some() {
        return Err(syn::Error::new_spanned(key, format!("`{}` is given twice", quote!(#key))));
    }
    *slot = Some(value);
    Ok(())
}

fn counted_from_one(version: &LitInt) -> syn::Result<u32> {
    match version.base10_parse()? {
        0 => Err(syn::Error::new_spanned(version, "schema versions are counted from 1")),
        version => Ok(version),
    }
}

fn check_name(name: &LitStr) -> syn::Result<()> {
    let text = name.value();
    let problem = if text.is_empty() {
        "an event's name must not be empty"
    } else if text.len() > MAX_NAME {
        "an event's name has at most 255 bytes"
    } else if text.chars().any(char::is_control) {
        "an event's name must not contain control characters"
    } else {
        return Ok(());
    };
    Err(syn::Error::new_spanned(name, problem))
}
