//! Structs that are archived field by field.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Fields, Result};

use crate::fields::{self, Field, plain_name};
use crate::portable;
use crate::record::Context;

/// Derives.
pub fn expand(context: &Context, shape: &Fields) -> Result<TokenStream> {
    let list = fields::list(shape);
    let view = view(context, shape, &list);
    let archive = archive(context, &list);
    let back = back(context, shape, &list);
    let field = field(context, shape, &list)?;
    let record = context.record_impl();
    let debug = context.debug_fields(&context.input.ident, shape, &list, |field| {
        let member = &field.member;
        quote!(&self.#member)
    });
    let debug = context.debug_impl(&debug);
    let accessors = accessors(context, &list, false);
    Ok(quote! {
        #view
        const _: () = {
            #archive
            #back
            #field
            #record
            #debug
            #accessors
        };
    })
}

fn view(context: &Context, shape: &Fields, list: &[Field]) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    let (attributes, vis) = (context.view_attributes(), &input.vis);
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let members = list.iter().map(|Field { name, ty, vis, .. }| {
        let doc = match name {
            Some(name) => format!("The field `{}`.", plain_name(name)),
            None => "A field.".to_owned(),
        };
        let name = name.map(|name| quote!(#name:));
        quote!(#[doc = #doc] #vis #name <#ty as #private::Field>::Native)
    });
    match shape {
        Fields::Named(_) => {
            quote!(#attributes #[repr(C)] #vis struct #view #impl_generics #bounds { #(#members),* })
        }
        Fields::Unnamed(_) => {
            quote!(#attributes #[repr(C)] #vis struct #view #impl_generics (#(#members),*) #bounds;)
        }
        Fields::Unit => quote!(#attributes #[repr(C)] #vis struct #view #impl_generics #bounds;),
    }
}

/// `Archive` and `Serialize`, which write the view's bytes.
fn archive(context: &Context, list: &[Field]) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    let name = &input.ident;
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let (members, types) = (list.iter().map(|field| &field.member), list.iter().map(|field| field.ty));
    let numbers = (0..list.len()).map(syn::Index::from);
    let resolve = list.iter().zip(numbers).map(|(Field { member, ty, .. }, number)| {
        // SAFETY: the field of the view that `out` is the place of; taking its address reads nothing.
        quote! {
            unsafe {
                let at = &raw mut (*out.ptr()).#member;
                #private::resolve_field::<#ty, _>(&self.#member, resolver.#number, out, at);
            }
        }
    });
    quote! {
        #[automatically_derived]
        unsafe impl #impl_generics #private::rkyv::Portable for #view #type_generics #bounds {}

        #[automatically_derived]
        impl #impl_generics #private::rkyv::Archive for #name #type_generics #bounds {
            type Archived = #view #type_generics;
            type Resolver = (#(<#types as #private::rkyv::Archive>::Resolver,)*);
            #[inline]
            #[allow(unused_variables)]
            fn resolve(&self, resolver: Self::Resolver, out: #private::rkyv::Place<Self::Archived>) {
                #(#resolve)*
            }
        }

        #[automatically_derived]
        impl #impl_generics #private::rkyv::Serialize<#private::Encoder<'_>> for #name #type_generics #bounds {
            #[inline]
            #[allow(unused_variables)]
            fn serialize(
                &self,
                encoder: &mut #private::Encoder<'_>,
            ) -> ::core::result::Result<Self::Resolver, #private::rkyv::rancor::Panic> {
                ::core::result::Result::Ok((
                    #(#private::rkyv::Serialize::serialize(&self.#members, encoder)?,)*
                ))
            }
        }
    }
}

/// `Deserialize` and `CheckBytes`.
fn back(context: &Context, shape: &Fields, list: &[Field]) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    let name = &input.ident;
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let owner = fields::body(
        shape,
        list,
        |Field { member, ty, .. }| quote!(#private::decode_field::<#ty>(&self.#member, decoder)?),
    );
    let checks = list.iter().map(|Field { member, ty, .. }| {
        // SAFETY: `value` is aligned and its bytes are initialised, and so are its fields'.
        quote!(unsafe { #private::check_field::<#ty>(&raw const (*value).#member, checker) }?;)
    });
    quote! {
        #[automatically_derived]
        impl #impl_generics #private::rkyv::Deserialize<#name #type_generics, #private::Decoder>
            for #view #type_generics #bounds
        {
            #[inline]
            #[allow(unused_variables)]
            fn deserialize(
                &self,
                decoder: &mut #private::Decoder,
            ) -> ::core::result::Result<#name #type_generics, #private::rkyv::rancor::Panic> {
                ::core::result::Result::Ok(#name #owner)
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
                #(#checks)*
                ::core::result::Result::Ok(())
            }
        }
    }
}

fn field(context: &Context, shape: &Fields, list: &[Field]) -> Result<TokenStream> {
    let Context { input, private, view, generics, .. } = context;
    let (name, text) = (&input.ident, plain_name(&input.ident));
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let inline = context.all_inline(list.iter());
    let members = list.iter().map(|field| &field.member);
    let describe = fields::describe(shape, list, |ty| context.describe_type(ty));
    let portable = portable::of_struct(context, shape, list)?;
    // SAFETY: `Native` is `Archived`.
    Ok(quote! {
        #[automatically_derived]
        unsafe impl #impl_generics #private::Field for #name #type_generics #bounds {
            type Native = #view #type_generics;
            const INLINE: bool = #inline;
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
            fn describe(out: &mut #private::Description) {
                let offsets = [#(::core::mem::offset_of!(#view #type_generics, #members)),*];
                out.archived::<Self>(#text, false, &offsets, |out| { #describe });
            }
            #portable
        }
    })
}

/// An accessor per named field, on the owner and, unless the owner is its own view (`plain`), on the view.
pub fn accessors(context: &Context, list: &[Field], plain: bool) -> TokenStream {
    let Context { input, private, view, generics, .. } = context;
    if context.attributes.no_accessors {
        return quote!();
    }
    let name = &input.ident;
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let named = || {
        list.iter().filter_map(|field| {
            let name = field.name.filter(|name| !plain_name(name).starts_with('_'))?;
            Some((name, field.ty, field.vis, format!("The field `{}`.", plain_name(name))))
        })
    };
    if named().next().is_none() {
        return quote!();
    }
    let on_owner = named().map(|(name, ty, vis, doc)| {
        quote! {
            #[doc = #doc]
            #[inline]
            #vis fn #name(&self) -> <#ty as #private::Field>::Get<'_> {
                <#ty as #private::Field>::get(&self.#name)
            }
        }
    });
    let on_view = named().map(|(name, ty, vis, doc)| {
        quote! {
            #[doc = #doc]
            #[inline]
            #vis fn #name(&self) -> <#ty as #private::Field>::GetView<'_> {
                <#ty as #private::Field>::get_view(&self.#name)
            }
        }
    });
    let on_view = (!plain).then(|| {
        quote! {
            #[automatically_derived]
            #[allow(dead_code)]
            impl #impl_generics #view #type_generics #bounds { #(#on_view)* }
        }
    });
    quote! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl #impl_generics #name #type_generics #bounds { #(#on_owner)* }
        #on_view
    }
}
