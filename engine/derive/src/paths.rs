//! Where the engine is, as seen from the crate that derives.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Error, Path, Result};

/// The path of the module that derived code refers to: that of the `crate = path` attribute, or of whichever of the two crates
/// the deriving crate depends on.
pub fn private(attribute: Option<&Path>) -> Result<TokenStream> {
    if let Some(path) = attribute {
        return Ok(quote!(#path::__private));
    }
    for package in ["millstream-engine", "millstream"] {
        let name = match crate_name(package) {
            // Its own tests, examples and benches see a crate under its name, and so does the engine (`extern crate self`).
            Ok(FoundCrate::Itself) => package.replace('-', "_"),
            Ok(FoundCrate::Name(name)) => name,
            Err(_) => continue,
        };
        let name = format_ident!("{name}");
        return Ok(quote!(::#name::__private));
    }
    Err(Error::new(
        Span::call_site(),
        "this crate's Cargo.toml has no dependency `millstream`: add it, or say where it is with \
         `#[record(crate = path)]` (for keys: `#[key(crate = path)]`)",
    ))
}
