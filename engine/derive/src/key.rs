//! `#[derive(Key)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, Result};

use crate::attributes::Attributes;
use crate::fields::{self, Field, bounded, member_name, plain_name};
use crate::paths;

/// Derives.
pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let attributes = Attributes::read(input, "key")?;
    let private = paths::private(attributes.krate.as_ref())?;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new_spanned(lifetime, "a key owns its data: it cannot have lifetime parameters"));
    }
    let parts = match &input.data {
        Data::Struct(data) => of_struct(&private, &plain_name(&input.ident), &data.fields),
        Data::Enum(data) => of_enum(&private, input, data)?,
        Data::Union(_) => return Err(Error::new_spanned(&input.ident, "a union cannot be a key")),
    };
    let Parts { width, put, take, describe, show, key_type } = parts;
    // A parameter is its own `Owned`, as the fields of `Self` are.
    let generics = bounded(&input.generics, |name| {
        vec![quote!(#private::KeyPart<Owned = #name>), quote!(::core::clone::Clone)]
    });
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let (name, text) = (&input.ident, plain_name(&input.ident));
    // SAFETY: the encodings of keys, each of which can be followed by others, one after the other; or an integer of fixed width
    // that differs from variant to variant.
    Ok(quote! {
        #[automatically_derived]
        unsafe impl #impl_generics #private::KeyPart for #name #type_generics #bounds {
            type Owned = Self;
            const WIDTH: ::core::option::Option<usize> = #width;
            #[inline]
            #[allow(unused_variables)]
            fn put<KeySinkOfPut: #private::KeySink>(&self, out: &mut KeySinkOfPut) {
                #put
            }
            #[inline]
            #[allow(unused_variables)]
            fn take(bytes: &mut &[u8]) -> Self {
                #take
            }
            fn describe(out: &mut #private::Description) {
                out.named::<Self>(#text, "", |out| { #describe });
            }
            #[allow(unused_variables)]
            fn key_type(types: &mut #private::Types) -> #private::Type {
                types.named::<Self>(#text, |types| #key_type)
            }
            #[allow(unused_variables)]
            fn show(bytes: &mut &[u8], out: &mut #private::KeyText) {
                #show
            }
        }
    })
}

struct Parts {
    width: TokenStream,
    put: TokenStream,
    take: TokenStream,
    describe: TokenStream,
    show: TokenStream,
    /// The shape of the type as data.
    key_type: TokenStream,
}

fn of_struct(private: &TokenStream, text: &str, shape: &Fields) -> Parts {
    let list = fields::list(shape);
    let types: Vec<_> = list.iter().map(|field| field.ty).collect();
    let members = list.iter().map(|field| &field.member);
    let body = fields::body(shape, &list, |Field { ty, .. }| quote!(<#ty as #private::KeyPart>::take(bytes)));
    Parts {
        width: quote!(#private::total_width(&[#(<#types as #private::KeyPart>::WIDTH),*])),
        put: quote!(#(<#types as #private::KeyPart>::put(&self.#members, out);)*),
        take: quote!(Self #body),
        describe: fields::describe(shape, &list, |ty| quote!(<#ty as #private::KeyPart>::describe(out);)),
        show: {
            let shown =
                fields::describe(shape, &list, |ty| quote!(<#ty as #private::KeyPart>::show(bytes, out);));
            quote!(out.push(#text); #shown)
        },
        key_type: {
            let names = list.iter().map(|field| member_name(&field.member));
            quote! {
                #private::Shape::Struct(::std::vec![
                    #(#private::SchemaMember::new(#names, <#types as #private::KeyPart>::key_type(types))),*
                ])
            }
        },
    }
}

fn of_enum(private: &TokenStream, input: &DeriveInput, data: &DataEnum) -> Result<Parts> {
    if let Some(variant) = data.variants.iter().find(|variant| !matches!(variant.fields, Fields::Unit)) {
        return Err(Error::new_spanned(
            variant,
            "an enum with data is not a key: use a struct of its kind and its data",
        ));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "an enum without variants has no keys"));
    }
    let (enum_name, text) = (&input.ident, plain_name(&input.ident));
    let names: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let too_wide = format!("a discriminant of `{text}` does not fit into an i32, its encoding as a key");
    let unknown = format!("a `{text}` key's encoding is one of its variants");
    let shown: Vec<_> = names.iter().map(|name| plain_name(name)).collect();
    let describe = names.iter().enumerate().map(|(number, name)| {
        let before = format!("{}{} = ", if number > 0 { " | " } else { "" }, plain_name(name));
        quote! {
            out.push(#before);
            out.push(&::std::string::ToString::to_string(&(#enum_name::#name as i32)));
        }
    });
    Ok(Parts {
        width: quote!(<i32 as #private::KeyPart>::WIDTH),
        put: quote! {
            const {
                #(assert!(#enum_name::#names as i32 as i128 == #enum_name::#names as i128, #too_wide);)*
            }
            let discriminant = match self { #(#enum_name::#names => #enum_name::#names as i32),* };
            #private::KeyPart::put(&discriminant, out);
        },
        take: quote! {
            let discriminant = <i32 as #private::KeyPart>::take(bytes);
            #(if discriminant == #enum_name::#names as i32 { return #enum_name::#names; })*
            ::core::unreachable!(#unknown)
        },
        describe: quote!(out.push(" { "); #(#describe)* out.push(" }");),
        show: quote! {
            let key = <Self as #private::KeyPart>::take(bytes);
            out.push(match key { #(#enum_name::#names => #shown),* });
        },
        key_type: quote! {
            #private::Shape::Enum(::std::vec![
                #(#private::SchemaVariant::new(#shown, i64::from(#enum_name::#names as i32), ::std::vec![])),*
            ])
        },
    })
}
