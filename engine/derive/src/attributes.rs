//! What the attributes of a type say.

use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Attribute, DeriveInput, Expr, Ident, LitStr, Path, Result, Token, parenthesized};

/// `#[record(..)]` and `#[key(..)]`.
#[derive(Default)]
pub struct Attributes {
    /// `crate = path`.
    pub krate: Option<Path>,
    /// `view = Name`.
    pub view: Option<Ident>,
    /// `derive(Trait, ...)`.
    pub view_derives: Vec<Path>,
    /// `no_accessors`.
    pub no_accessors: bool,
}

impl Attributes {
    /// Reads the attributes named `name` (`record` or `key`) of a type.
    pub fn read(input: &DeriveInput, name: &str) -> Result<Self> {
        let mut read = Attributes::default();
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident(name)) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("crate") {
                    read.krate = Some(meta.value()?.call(Path::parse_mod_style)?);
                } else if name == "record" && meta.path.is_ident("view") {
                    read.view = Some(meta.value()?.parse()?);
                } else if name == "record" && meta.path.is_ident("derive") {
                    let traits;
                    parenthesized!(traits in meta.input);
                    read.view_derives.extend(parse_paths(&traits)?);
                } else if name == "record" && meta.path.is_ident("no_accessors") {
                    read.no_accessors = true;
                } else if name == "record" {
                    return Err(
                        meta.error("expected `crate = path`, `view = Name`, `derive(..)` or `no_accessors`")
                    );
                } else {
                    return Err(meta.error("expected `crate = path`"));
                }
                Ok(())
            })?;
        }
        Ok(read)
    }
}

/// `#[record(..)]` of a field or variant: how it comes out of files that were written before it was what it is.
#[derive(Default)]
pub struct History {
    /// `was = "name"`, perhaps several times.
    pub was: Vec<LitStr>,
    /// `default` or `default = expression`.
    pub default: Option<Option<Expr>>,
}

impl History {
    /// Reads the attributes of a field, or of a variant, which has no default.
    pub fn read(attributes: &[Attribute], of_field: bool) -> Result<Self> {
        let mut read = History::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("record")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("was") {
                    read.was.push(meta.value()?.parse()?);
                } else if of_field && meta.path.is_ident("default") {
                    let given = meta.input.peek(Token![=]);
                    read.default = Some(if given { Some(meta.value()?.parse()?) } else { None });
                } else if of_field {
                    return Err(meta.error("expected `was = \"name\"`, `default` or `default = value`"));
                } else {
                    return Err(meta.error("expected `was = \"name\"`"));
                }
                Ok(())
            })?;
        }
        Ok(read)
    }
}

fn parse_paths(input: ParseStream) -> Result<Punctuated<Path, Token![,]>> {
    input.call(Punctuated::parse_terminated)
}

/// What `#[repr(..)]` says.
#[derive(Default)]
pub struct Repr {
    /// `C` or `transparent`: the order of fields is fixed.
    pub fixed_order: bool,
    /// `packed`.
    pub packed: bool,
    /// `u8`, `i32`, ...
    pub integer: Option<Ident>,
}

impl Repr {
    /// Reads `#[repr(..)]`.
    pub fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut read = Repr::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("C") || meta.path.is_ident("transparent") {
                    read.fixed_order = true;
                } else if meta.path.is_ident("packed") {
                    read.packed = true;
                } else if !meta.path.is_ident("align") {
                    read.integer = meta.path.get_ident().cloned();
                }
                // `align(8)` and `packed(2)` carry a number that is of no interest here: the engine measures.
                if meta.input.peek(syn::token::Paren) {
                    let number;
                    parenthesized!(number in meta.input);
                    let _: syn::LitInt = number.parse()?;
                }
                Ok(())
            })?;
        }
        Ok(read)
    }
}
