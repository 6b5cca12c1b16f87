//! The portable form: types as data, values field by field, and the way back from an earlier form of the type.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, Error, Fields, Ident, Result};

use crate::attributes::History;
use crate::fields::{self, Field, member_name, plain_name};
use crate::record::Context;

/// The portable part of a `Record` implementation that is the field's.
pub fn as_field(private: &TokenStream) -> TokenStream {
    quote! {
        fn record_type(types: &mut #private::Types) -> #private::Type {
            <Self as #private::Field>::field_type(types)
        }
        fn save_record(view: &Self::View, out: &mut #private::Writer) {
            <Self as #private::Field>::save_field(view, out)
        }
        fn load_record(value: #private::Value) -> ::core::result::Result<Self, #private::Misfit> {
            #private::load(value)
        }
    }
}

/// The portable part of the `Field` implementation of a struct.
pub fn of_struct(context: &Context, shape: &Fields, list: &[Field]) -> Result<TokenStream> {
    let (private, text) = (&context.private, plain_name(&context.input.ident));
    let Parts { members, owner } = parts(context, shape, list)?;
    let save = list
        .iter()
        .map(|Field { member, ty, .. }| quote!(<#ty as #private::Field>::save_field(&native.#member, out);));
    Ok(quote! {
        #[allow(unused_variables)]
        fn field_type(types: &mut #private::Types) -> #private::Type {
            types.named::<Self>(#text, |types| #private::Shape::Struct(#members))
        }
        #[allow(unused_variables)]
        fn save_field(native: &Self::Native, out: &mut #private::Writer) {
            #(#save)*
        }
        #[allow(unused_mut, unused_variables)]
        fn load_field(value: #private::Value) -> ::core::result::Result<Self, #private::Misfit> {
            let mut members = #private::Members::of_struct(value, #text)?;
            ::core::result::Result::Ok(Self #owner)
        }
    })
}

/// The portable part of the `Field` implementation of an enum, whose native form is `native`.
pub fn of_enum(context: &Context, data: &DataEnum, native: &Ident) -> Result<TokenStream> {
    let (private, text) = (&context.private, plain_name(&context.input.ident));
    let (mut variants, mut saves, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for (variant, place) in data.variants.iter().zip(0u16..) {
        let list = fields::list(&variant.fields);
        let Parts { members, owner } = parts(context, &variant.fields, &list)?;
        let (ident, name) = (&variant.ident, plain_name(&variant.ident));
        let was = History::read(&variant.attrs, false)?.was;
        let number = i64::from(place);
        variants.push(quote!(#private::SchemaVariant::new(#name, #number, #members).was(&[#(#was),*])));
        let pattern = fields::body(&variant.fields, &list, |Field { binding, .. }| quote!(#binding));
        let save = list
            .iter()
            .map(|Field { binding, ty, .. }| quote!(<#ty as #private::Field>::save_field(#binding, out);));
        saves.push(quote!(#native::#ident #pattern => { out.put_u16(#place); #(#save)* }));
        loads.push(quote!(#name #(| #was)* => ::core::result::Result::Ok(Self::#ident #owner)));
    }
    Ok(quote! {
        #[allow(unused_variables)]
        fn field_type(types: &mut #private::Types) -> #private::Type {
            types.named::<Self>(#text, |types| #private::Shape::Enum(::std::vec![#(#variants),*]))
        }
        fn save_field(native: &Self::Native, out: &mut #private::Writer) {
            match native { #(#saves)* }
        }
        #[allow(unused_mut, unused_variables)]
        fn load_field(value: #private::Value) -> ::core::result::Result<Self, #private::Misfit> {
            let (variant, mut members) = #private::Members::of_variant(value, #text)?;
            match &*variant {
                #(#loads,)*
                other => ::core::result::Result::Err(#private::Misfit::new(
                    ::std::format!("`{}` has no variant `{other}`", #text)
                )),
            }
        }
    })
}

/// What a struct and a variant share.
struct Parts {
    /// The fields as data.
    members: TokenStream,
    /// What follows the name of a value whose fields are taken out of `members`.
    owner: TokenStream,
}

fn parts(context: &Context, shape: &Fields, list: &[Field]) -> Result<Parts> {
    let private = &context.private;
    let (mut members, mut takes) = (Vec::new(), Vec::new());
    for Field { member, ty, attributes, .. } in list {
        let name = member_name(member);
        let History { was, default } = History::read(attributes, true)?;
        if let (Some(was), true) = (was.first(), matches!(shape, Fields::Unnamed(_))) {
            return Err(Error::new_spanned(was, "a field without a name had none before"));
        }
        let has_default = default.is_some();
        members.push(quote! {
            #private::SchemaMember::new(#name, <#ty as #private::Field>::field_type(types))
                .was(&[#(#was),*])
                .may_be_missing(#has_default || <#ty as #private::Field>::OPTIONAL)
        });
        let missing = match default {
            None => quote!(::core::option::Option::None),
            Some(None) => quote!(::core::option::Option::Some(<#ty as ::core::default::Default>::default)),
            Some(Some(value)) => quote!(::core::option::Option::Some(|| #value)),
        };
        takes.push(quote!(members.take::<#ty>(#name, &[#(#was),*], #missing)?));
    }
    let owner = fields::body_of(shape, list, &takes);
    Ok(Parts { members: quote!(::std::vec![#(#members),*]), owner })
}
