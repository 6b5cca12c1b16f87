//! Enums that are archived variant by variant.
//!
//! The view is a `repr(u8)` enum with the same variants. The language defines its layout as a union of `repr(C)` structs, one per
//! variant, that begin with the tag (RFC 2195); these structs are generated too, and are what is written and checked.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{DataEnum, Error, Fields, Ident, Result};

use crate::fields::{self, Field, plain_name};
use crate::portable;
use crate::record::Context;

struct Variant<'a> {
    name: &'a Ident,
    shape: &'a Fields,
    fields: Vec<Field<'a>>,
    /// The struct of its bytes.
    bytes: Ident,
    tag: u8,
}

impl Variant<'_> {
    /// The pattern that binds all fields.
    fn pattern(&self) -> TokenStream {
        fields::body(self.shape, &self.fields, |Field { binding, .. }| quote!(#binding))
    }

    /// The pattern that binds all resolvers of the variant of the resolver enum.
    fn resolver_pattern(&self) -> TokenStream {
        let resolvers = self.fields.iter().map(|field| &field.resolver);
        quote!((#(#resolvers,)*))
    }
}

/// Derives.
pub fn expand(context: &Context, data: &DataEnum, without_data: bool) -> Result<TokenStream> {
    if data.variants.is_empty() || data.variants.len() > 256 {
        return Err(Error::new_spanned(&context.input.ident, "a record enum has 1 to 256 variants"));
    }
    let variants = data.variants.iter().zip(0..=255).map(|(variant, tag)| Variant {
        name: &variant.ident,
        shape: &variant.fields,
        fields: fields::list(&variant.fields),
        bytes: format_ident!("{}Bytes", variant.ident),
        tag,
    });
    let variants: Vec<Variant> = variants.collect();
    let types = types(context, &variants, without_data);
    let bytes = bytes(context, &variants);
    let archive = archive(context, &variants);
    let back = back(context, &variants);
    let portable = portable::of_enum(context, data, &context.view)?;
    let field = field(context, &variants, without_data, &portable);
    let record = context.record_impl();
    let debug = debug(context, &variants);
    Ok(quote! {
        #types
        const _: () = {
            #bytes
            #archive
            #back
            #field
            #record
            #debug
        };
    })
}

fn resolver_name(context: &Context) -> Ident {
    format_ident!("{}Resolver", context.input.ident)
}

/// The view and the resolver.
fn types(context: &Context, variants: &[Variant], without_data: bool) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    let (attributes, vis, resolver) = (context.view_attributes(), &input.vis, resolver_name(context));
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let copy = without_data.then(|| quote!(#[derive(Clone, Copy)]));
    let views = variants.iter().map(|variant| {
        let doc = format!("The variant `{}`.", plain_name(variant.name));
        let name = variant.name;
        let body = fields::body(
            variant.shape,
            &variant.fields,
            |Field { ty, .. }| quote!(<#ty as #private::Field>::Native),
        );
        quote!(#[doc = #doc] #name #body)
    });
    let resolvers = variants.iter().map(|Variant { name, fields, .. }| {
        let types = fields.iter().map(|field| field.ty);
        quote!(#name((#(<#types as #private::rkyv::Archive>::Resolver,)*)))
    });
    quote! {
        #attributes
        #[allow(missing_docs)]
        #copy
        #[repr(u8)]
        #vis enum #view #impl_generics #bounds { #(#views),* }

        #[doc(hidden)]
        #[allow(missing_docs)]
        #vis enum #resolver #impl_generics #bounds { #(#resolvers),* }
    }
}

/// The struct of each variant's bytes.
fn bytes(context: &Context, variants: &[Variant]) -> TokenStream {
    let Context { private, generics, .. } = context;
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let parameters = generics.type_params().map(|parameter| &parameter.ident);
    let parameters = quote!(::core::marker::PhantomData<(#(#parameters,)*)>);
    let structs = variants.iter().map(|Variant { bytes, fields, .. }| {
        let fields =
            fields.iter().map(|Field { binding, ty, .. }| quote!(#binding: <#ty as #private::Field>::Native));
        quote! {
            #[repr(C)]
            #[allow(dead_code)]
            struct #bytes #impl_generics #bounds { tag: u8, #(#fields,)* parameters: #parameters }
        }
    });
    quote!(#(#structs)*)
}

/// `Archive` and `Serialize`, which write the view's bytes.
fn archive(context: &Context, variants: &[Variant]) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    let (name, resolver) = (&input.ident, resolver_name(context));
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let resolve = variants.iter().map(|variant| {
        let Variant { name: variant_name, fields, bytes, tag, .. } = variant;
        let (pattern, resolvers) = (variant.pattern(), variant.resolver_pattern());
        let steps = fields.iter().map(|Field { ty, binding, resolver, .. }| {
            quote! {
                #private::resolve_field::<#ty, _>(#binding, #resolver, out, &raw mut (*at).#binding);
            }
        });
        // SAFETY: `out` is the place of a view, whose bytes in this variant are those of the struct.
        quote! {
            (#name::#variant_name #pattern, #resolver::#variant_name(#resolvers)) => unsafe {
                let at = out.ptr().cast::<#bytes #type_generics>();
                (&raw mut (*at).tag).write(#tag);
                #(#steps)*
            }
        }
    });
    let serialize = variants.iter().map(|variant| {
        let (pattern, variant_name) = (variant.pattern(), variant.name);
        let fields = variant.fields.iter().map(|field| &field.binding);
        quote! {
            #name::#variant_name #pattern => #resolver::#variant_name((
                #(#private::rkyv::Serialize::serialize(#fields, encoder)?,)*
            ))
        }
    });
    quote! {
        #[automatically_derived]
        unsafe impl #impl_generics #private::rkyv::Portable for #view #type_generics #bounds {}

        #[automatically_derived]
        impl #impl_generics #private::rkyv::Archive for #name #type_generics #bounds {
            type Archived = #view #type_generics;
            type Resolver = #resolver #type_generics;
            #[allow(unreachable_patterns)]
            fn resolve(&self, resolver: Self::Resolver, out: #private::rkyv::Place<Self::Archived>) {
                match (self, resolver) {
                    #(#resolve)*
                    _ => ::core::unreachable!("a resolver is of its value's variant"),
                }
            }
        }

        #[automatically_derived]
        impl #impl_generics #private::rkyv::Serialize<#private::Encoder<'_>> for #name #type_generics #bounds {
            #[allow(unused_variables)]
            fn serialize(
                &self,
                encoder: &mut #private::Encoder<'_>,
            ) -> ::core::result::Result<Self::Resolver, #private::rkyv::rancor::Panic> {
                ::core::result::Result::Ok(match self { #(#serialize),* })
            }
        }
    }
}

/// `Deserialize` and `CheckBytes`.
fn back(context: &Context, variants: &[Variant]) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    let (name, text) = (&input.ident, plain_name(&input.ident));
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let owners = variants.iter().map(|variant| {
        let (pattern, variant_name) = (variant.pattern(), variant.name);
        let owner = fields::body(
            variant.shape,
            &variant.fields,
            |Field { ty, binding, .. }| quote!(#private::decode_field::<#ty>(#binding, decoder)?),
        );
        quote!(#view::#variant_name #pattern => #name::#variant_name #owner)
    });
    let checks = variants.iter().map(|Variant { fields, bytes, tag, .. }| {
        let checks = fields.iter().map(|Field { ty, binding, .. }| {
            quote!(#private::check_field::<#ty>(&raw const (*at).#binding, checker)?;)
        });
        // SAFETY: `value` is aligned, its bytes are initialised, and with this tag they are those of the struct.
        quote! {
            #tag => unsafe {
                let at = value.cast::<#bytes #type_generics>();
                #(#checks)*
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::rkyv::Deserialize<#name #type_generics, #private::Decoder>
            for #view #type_generics #bounds
        {
            #[allow(unused_variables)]
            fn deserialize(
                &self,
                decoder: &mut #private::Decoder,
            ) -> ::core::result::Result<#name #type_generics, #private::rkyv::rancor::Panic> {
                ::core::result::Result::Ok(match self { #(#owners),* })
            }
        }

        #[automatically_derived]
        unsafe impl #impl_generics #private::rkyv::bytecheck::CheckBytes<#private::Checker<'_>>
            for #view #type_generics #bounds
        {
            #[allow(unused_variables)]
            unsafe fn check_bytes(
                value: *const Self,
                checker: &mut #private::Checker<'_>,
            ) -> ::core::result::Result<(), #private::rkyv::rancor::Error> {
                match unsafe { value.cast::<u8>().read() } {
                    #(#checks)*
                    #[allow(unreachable_patterns)]
                    tag => return ::core::result::Result::Err(#private::unknown_variant(#text, tag.into())),
                }
                ::core::result::Result::Ok(())
            }
        }
    }
}

fn debug(context: &Context, variants: &[Variant]) -> TokenStream {
    let view = &context.view;
    let arms = variants.iter().map(|variant| {
        let Variant { name, shape, fields, .. } = variant;
        let pattern = variant.pattern();
        let print = context.debug_fields(name, shape, fields, |field| {
            let binding = &field.binding;
            quote!(#binding)
        });
        quote!(#view::#name #pattern => #print)
    });
    context.debug_impl(&quote!(match self { #(#arms),* }))
}

fn field(context: &Context, variants: &[Variant], without_data: bool, portable: &TokenStream) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    let (name, text) = (&input.ident, plain_name(&input.ident));
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let inline = context.all_inline(variants.iter().flat_map(|variant| &variant.fields));
    let offsets = variants.iter().flat_map(|Variant { bytes, fields, .. }| {
        let bindings = fields.iter().map(|field| &field.binding);
        let offsets =
            bindings.map(|binding| quote!(::core::mem::offset_of!(#bytes #type_generics, #binding)));
        offsets.collect::<Vec<_>>()
    });
    let describe = variants.iter().enumerate().map(|(number, Variant { name, shape, fields, .. })| {
        let before = format!("{}{}", if number > 0 { " | " } else { "" }, plain_name(name));
        let describe = fields::describe(shape, fields, |ty| context.describe_type(ty));
        quote!(out.push(#before); #describe)
    });
    let get = if without_data {
        let names: Vec<_> = variants.iter().map(|variant| variant.name).collect();
        quote! {
            type Get<'get> = Self;
            type GetView<'get> = Self;
            #[inline]
            fn get(&self) -> Self {
                match self { #(#name::#names => #name::#names),* }
            }
            #[inline]
            fn get_view(native: &Self::Native) -> Self {
                match native { #(#view::#names => #name::#names),* }
            }
        }
    } else {
        quote! {
            type Get<'get> = &'get Self;
            type GetView<'get> = &'get #view #type_generics;
            #[inline]
            fn get(&self) -> &Self {
                self
            }
            #[inline]
            fn get_view(native: &Self::Native) -> &Self::Native {
                native
            }
        }
    };
    // SAFETY: `Native` is `Archived`.
    quote! {
        #[automatically_derived]
        unsafe impl #impl_generics #private::Field for #name #type_generics #bounds {
            type Native = #view #type_generics;
            const INLINE: bool = #inline;
            #get
            fn describe(out: &mut #private::Description) {
                let offsets = [#(#offsets),*];
                out.archived::<Self>(#text, false, &offsets, |out| {
                    out.push(" { ");
                    #(#describe)*
                    out.push(" }");
                });
            }
            #portable
        }
    }
}
