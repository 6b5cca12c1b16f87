//! Structs and enums that are archived as themselves.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, Error, Fields, Ident, Result};

use crate::attributes::Repr;
use crate::fields::{self, Field, plain_name};
use crate::portable;
use crate::record::Context;
use crate::record_struct::accessors;

/// A `#[repr(C)]` struct.
pub fn expand_struct(context: &Context, repr: &Repr, shape: &Fields) -> Result<TokenStream> {
    let Context { input, private, .. } = context;
    refuse_generics(context)?;
    refuse_view_attributes(context)?;
    if repr.packed {
        return Err(Error::new_spanned(
            &input.ident,
            "`#[repr(packed)]` fields cannot be referred to: reorder the fields by size instead",
        ));
    }
    let (name, text) = (&input.ident, plain_name(&input.ident));
    let list = fields::list(shape);
    let layout = list.iter().map(|Field { member, ty, .. }| {
        let text = fields::member_name(member);
        quote!((#text, ::core::mem::offset_of!(#name, #member), ::core::mem::size_of::<#ty>()))
    });
    let plain_fields = list.iter().map(|Field { ty, .. }| {
        use syn::spanned::Spanned;
        quote::quote_spanned!(ty.span()=> assert_plain::<#ty>();)
    });
    let checks = list.iter().map(|Field { member, ty, .. }| {
        // SAFETY: `value` is aligned and its bytes are initialised, and so are its fields'.
        quote!(unsafe { #private::check_field::<#ty>((&raw const (*value).#member).cast(), checker) }?;)
    });
    let members = list.iter().map(|field| &field.member);
    let describe = fields::describe(shape, &list, |ty| context.describe_type(ty));
    let describe = quote! {
        let offsets = [#(::core::mem::offset_of!(#name, #members)),*];
        out.archived::<Self>(#text, true, &offsets, |out| { #describe });
    };
    let by_reference = quote! {
        type Get<'get> = &'get Self;
        type GetView<'get> = &'get Self;
        #[inline]
        fn get(&self) -> &Self {
            self
        }
        #[inline]
        fn get_view(native: &Self) -> &Self {
            native
        }
    };
    let portable = portable::of_struct(context, shape, &list)?;
    let impls = plain_impls(context, &quote!(#(#checks)*), &describe, &by_reference, &portable);
    let accessors = accessors(context, &list, true);
    Ok(quote! {
        const _: () = {
            const fn assert_plain<T: #private::Plain>() {}
            const FIELDS: &[#private::FieldBytes] = &[#(#layout),*];
            const _: () = {
                #(#plain_fields)*
                #private::assert_no_padding(#text, FIELDS, ::core::mem::size_of::<#name>());
            };
            #impls
            #accessors
        };
    })
}

/// An enum without data, of a given width.
pub fn expand_enum(context: &Context, integer: &Ident, data: &DataEnum) -> Result<TokenStream> {
    let Context { input, private, .. } = context;
    refuse_generics(context)?;
    refuse_view_attributes(context)?;
    if integer == "usize" || integer == "isize" {
        return Err(Error::new_spanned(
            integer,
            "`usize` and `isize` have no fixed width: use `u8` or `u64`",
        ));
    }
    let (name, text) = (&input.ident, plain_name(&input.ident));
    let names: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let check = quote! {
        // SAFETY: an enum without data has the bytes of its integer; all of them are initialised.
        let tag = unsafe { value.cast::<#integer>().read() };
        if true #(&& tag != #name::#names as #integer)* {
            return ::core::result::Result::Err(#private::unknown_variant(#text, i128::from(tag)));
        }
    };
    let describe = names.iter().enumerate().map(|(number, variant)| {
        let before = format!("{}{} = ", if number > 0 { " | " } else { "" }, plain_name(variant));
        quote!(out.push(#before); out.push(&::std::string::ToString::to_string(&(#name::#variant as #integer)));)
    });
    let open = format!(": {integer} {{ ");
    let describe = quote! {
        out.archived::<Self>(#text, true, &[], |out| {
            out.push(#open);
            #(#describe)*
            out.push(" }");
        });
    };
    let by_value = quote! {
        type Get<'get> = Self;
        type GetView<'get> = Self;
        #[inline]
        fn get(&self) -> Self {
            #private::copy_plain(self)
        }
        #[inline]
        fn get_view(native: &Self) -> Self {
            #private::copy_plain(native)
        }
    };
    let portable = portable::of_enum(context, data, name)?;
    let impls = plain_impls(context, &check, &describe, &by_value, &portable);
    Ok(quote!(const _: () = { #impls };))
}

fn refuse_generics(context: &Context) -> Result<()> {
    match context.input.generics.params.first() {
        None => Ok(()),
        Some(parameter) => Err(Error::new_spanned(
            parameter,
            "a record that is archived as itself cannot have parameters (whether it has padding would depend on them): \
             remove `#[repr(..)]` to archive it field by field",
        )),
    }
}

fn refuse_view_attributes(context: &Context) -> Result<()> {
    let named = context.attributes.view.as_ref().map(|view| Error::new_spanned(view, SELF_VIEW));
    let derived = context.attributes.view_derives.first().map(|path| Error::new_spanned(path, SELF_VIEW));
    named.or(derived).map_or(Ok(()), Err)
}

const SELF_VIEW: &str = "a record with `#[repr(..)]` is its own view: name and derive nothing here";

/// What plain structs and enums share: they are written and read by copying their bytes.
fn plain_impls(
    context: &Context,
    check: &TokenStream,
    describe: &TokenStream,
    get: &TokenStream,
    portable: &TokenStream,
) -> TokenStream {
    let Context { input, private, .. } = context;
    let name = &input.ident;
    let as_field = portable::as_field(private);
    // SAFETY, for all of them: the assertions above this code in the expansion: all fields are plain, there is no padding, the
    // order is fixed, there is no destructor, and the alignment is at most a record's.
    quote! {
        const _: () = {
            assert!(!::core::mem::needs_drop::<#name>(), "a record that is archived as itself cannot have a destructor");
            assert!(
                ::core::mem::align_of::<#name>() <= #private::RECORD_ALIGN,
                "a record's alignment is at most 16 bytes"
            );
        };

        #[automatically_derived]
        unsafe impl #private::rkyv::Portable for #name {}

        #[automatically_derived]
        impl #private::rkyv::Archive for #name {
            const COPY_OPTIMIZATION: #private::rkyv::traits::CopyOptimization<Self> =
                unsafe { #private::rkyv::traits::CopyOptimization::enable() };
            type Archived = Self;
            type Resolver = ();
            #[inline]
            fn resolve(&self, _resolver: (), out: #private::rkyv::Place<Self>) {
                unsafe { out.write_unchecked(#private::copy_plain(self)) }
            }
        }

        #[automatically_derived]
        impl #private::rkyv::Serialize<#private::Encoder<'_>> for #name {
            #[inline]
            fn serialize(
                &self,
                _encoder: &mut #private::Encoder<'_>,
            ) -> ::core::result::Result<(), #private::rkyv::rancor::Panic> {
                ::core::result::Result::Ok(())
            }
        }

        #[automatically_derived]
        impl #private::rkyv::Deserialize<Self, #private::Decoder> for #name {
            #[inline]
            fn deserialize(
                &self,
                _decoder: &mut #private::Decoder,
            ) -> ::core::result::Result<Self, #private::rkyv::rancor::Panic> {
                ::core::result::Result::Ok(#private::copy_plain(self))
            }
        }

        #[automatically_derived]
        unsafe impl #private::rkyv::bytecheck::CheckBytes<#private::Checker<'_>> for #name {
            #[allow(unused_variables)]
            unsafe fn check_bytes(
                value: *const Self,
                checker: &mut #private::Checker<'_>,
            ) -> ::core::result::Result<(), #private::rkyv::rancor::Error> {
                #check
                ::core::result::Result::Ok(())
            }
        }

        #[automatically_derived]
        unsafe impl #private::Field for #name {
            type Native = Self;
            const INLINE: bool = true;
            #get
            fn describe(out: &mut #private::Description) {
                #describe
            }
            #portable
        }

        #[automatically_derived]
        unsafe impl #private::Plain for #name {}

        #[automatically_derived]
        unsafe impl #private::Record for #name {
            type View = Self;
            const SIZE: ::core::option::Option<usize> = ::core::option::Option::Some(::core::mem::size_of::<Self>());
            const PLAIN: bool = true;
            #[inline]
            fn encode(&self, out: &mut #private::RecordBuf) {
                #private::encode_plain(self, out)
            }
            #[inline]
            unsafe fn view_unchecked(bytes: &[u8]) -> &Self {
                unsafe { #private::view_unchecked::<Self>(bytes) }
            }
            fn view(bytes: &[u8]) -> ::core::result::Result<&Self, #private::RecordError> {
                #private::view::<Self>(bytes)
            }
            #[inline]
            fn owned(view: &Self) -> Self {
                #private::copy_plain(view)
            }
            fn layout() -> #private::Layout {
                #private::layout::<Self>()
            }
            #as_field
        }
    }
}
