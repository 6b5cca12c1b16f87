//! The fields of a struct or variant, in a form that suits both derives.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, Fields, Generics, Ident, Index, Member, Type, Visibility, parse_quote};

/// One field.
pub struct Field<'a> {
    /// Its name, or its number.
    pub member: Member,
    /// Its name, where it has one.
    pub name: Option<&'a Ident>,
    /// Its type.
    pub ty: &'a Type,
    /// Who can see it.
    pub vis: &'a Visibility,
    /// A name of its own for patterns: `field0`.
    pub binding: Ident,
    /// The same for its resolver: `resolver0`.
    pub resolver: Ident,
    /// Its attributes.
    pub attributes: &'a [Attribute],
}

/// The fields in order.
pub fn list(fields: &Fields) -> Vec<Field<'_>> {
    let list = fields.iter().enumerate().map(|(number, field)| Field {
        member: match &field.ident {
            Some(name) => Member::Named(name.clone()),
            None => Member::Unnamed(Index::from(number)),
        },
        name: field.ident.as_ref(),
        ty: &field.ty,
        vis: &field.vis,
        binding: format_ident!("field{number}"),
        resolver: format_ident!("resolver{number}"),
        attributes: &field.attrs,
    });
    list.collect()
}

/// The braces, parentheses or nothing that follow the name of a struct or variant with the shape of `shape`; `each` gives what
/// stands for a field, after its name.
pub fn body(shape: &Fields, fields: &[Field], each: impl Fn(&Field) -> TokenStream) -> TokenStream {
    body_of(shape, fields, &fields.iter().map(each).collect::<Vec<_>>())
}

/// [`body`] of what stands for each field.
pub fn body_of(shape: &Fields, fields: &[Field], items: &[TokenStream]) -> TokenStream {
    let items = fields.iter().zip(items).map(|(field, item)| match field.name {
        Some(name) => quote!(#name: #item),
        None => item.clone(),
    });
    match shape {
        Fields::Named(_) => quote!({ #(#items),* }),
        Fields::Unnamed(_) => quote!(( #(#items),* )),
        Fields::Unit => quote!(),
    }
}

/// The calls that describe a list of fields: ` { id: u64, who: String }`, `(u64, String)` or nothing. `describe` gives the call
/// for one type.
pub fn describe(shape: &Fields, fields: &[Field], describe: impl Fn(&Type) -> TokenStream) -> TokenStream {
    let (open, close) = match shape {
        Fields::Named(_) => (" { ", " }"),
        Fields::Unnamed(_) => ("(", ")"),
        Fields::Unit => return quote!(),
    };
    if fields.is_empty() {
        return quote!();
    }
    let items = fields.iter().enumerate().map(|(number, field)| {
        let comma = if number > 0 { ", " } else { "" };
        let before = match field.name {
            Some(name) => format!("{comma}{}: ", plain_name(name)),
            None => comma.to_owned(),
        };
        let call = describe(field.ty);
        quote!(out.push(#before); #call)
    });
    quote!(out.push(#open); #(#items)* out.push(#close);)
}

/// The name of a field as data: its number, where it has none.
pub fn member_name(member: &Member) -> String {
    match member {
        Member::Named(name) => plain_name(name),
        Member::Unnamed(index) => index.index.to_string(),
    }
}

/// A name without the `r#` of a raw identifier.
pub fn plain_name(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

/// The generics with bounds on each type parameter, given its name.
pub fn bounded(generics: &Generics, bounds: impl Fn(&Ident) -> Vec<TokenStream>) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        // A view has no defaults of its own.
        parameter.default = None;
        for bound in bounds(&parameter.ident) {
            parameter.bounds.push(parse_quote!(#bound));
        }
    }
    generics
}
