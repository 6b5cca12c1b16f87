//! Derive macros for Millstream's records and keys. They are re-exported beside their traits: use them as
//! `millstream::Record` and `millstream::Key`.

mod attributes;
mod fields;
mod key;
mod paths;
mod plain;
mod portable;
mod record;
mod record_enum;
mod record_struct;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a type a record: it can cross an exchange, lie in state and be saved in a checkpoint.
///
/// What it is archived as depends on the type:
///
/// | type | archived as | view |
/// | --- | --- | --- |
/// | `#[repr(C)]` struct | itself; all its fields have to be plain, and padding is refused | `&Self` |
/// | any other struct | field by field, with rkyv | `OrderView`, with native fields |
/// | enum without data, `#[repr(u8)]` or another integer | itself | `&Self` |
/// | any other enum | variant by variant, with rkyv | `ShapeView`, with the same variants and native fields |
///
/// Structs with named fields get an accessor per field, on owner and view alike: `order.price()` is the `i64`, `order.who()` the
/// `&str`. Fields whose names begin with an underscore (padding) get none.
///
/// Attributes, all of the form `#[record(..)]` on the type:
///
/// - `crate = path`: where the engine is, if it can not be found in `Cargo.toml` (for macros that re-export it);
/// - `view = Name`: the name of the view;
/// - `derive(PartialEq, Eq, Hash)`: traits that the view derives (`Debug` it always has), where the type is not generic;
/// - `no_accessors`: none are generated, for a type that has methods of these names.
///
/// Attributes of fields say how a savepoint that was made with an earlier form of the type becomes this one. Fields are found by name:
///
/// - `default`, `default = value`: what a field begins with that the savepoint does not have; an `Option` begins with `None` by itself;
/// - `was = "name"`: a name that the field had before. Variants of enums take this one, too.
#[proc_macro_derive(Record, attributes(record))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes a type a key: a struct whose fields are keys, or an enum without data. The type has to be `Clone`.
///
/// The canonical encoding of a struct is its fields' in order; that of an enum is the discriminant as an `i32`: give the variants
/// explicit discriminants if you want to reorder them later. `#[key(crate = path)]` says where the engine is, if it can not be
/// found in `Cargo.toml`.
#[proc_macro_derive(Key, attributes(key))]
pub fn derive_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    key::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
