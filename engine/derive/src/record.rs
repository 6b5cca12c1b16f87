//! `#[derive(Record)]`: which of the forms a type takes, and the parts that they share.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Generics, Ident, Result, parse_quote};

use crate::attributes::{Attributes, Repr};
use crate::fields::{Field, bounded, plain_name};
use crate::{paths, plain, portable, record_enum, record_struct};

/// What every form's code is made with.
pub struct Context<'a> {
    /// The type.
    pub input: &'a DeriveInput,
    /// The path of the engine's private module.
    pub private: TokenStream,
    /// What the attributes say.
    pub attributes: Attributes,
    /// The view's name.
    pub view: Ident,
    /// The type's generics, its parameters bounded.
    pub generics: Generics,
}

/// Derives.
pub fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let attributes = Attributes::read(input, "record")?;
    let repr = Repr::read(&input.attrs)?;
    let private = paths::private(attributes.krate.as_ref())?;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new_spanned(
            lifetime,
            "a record owns its data: it cannot have lifetime parameters",
        ));
    }
    if let (Some(path), Some(_)) = (attributes.view_derives.first(), input.generics.type_params().next()) {
        return Err(Error::new_spanned(
            path,
            "the view of a generic record cannot derive: implement the trait by hand",
        ));
    }
    let view = attributes.view.clone().unwrap_or_else(|| format_ident!("{}View", input.ident));
    let generics = bounded(&input.generics, |_| vec![quote!(#private::Field)]);
    let context = Context { input, private, attributes, view, generics };
    match &input.data {
        Data::Struct(data) if repr.fixed_order => plain::expand_struct(&context, &repr, &data.fields),
        Data::Struct(data) => record_struct::expand(&context, &data.fields),
        Data::Enum(data) => {
            let without_data = data.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
            match repr.integer {
                Some(integer) if without_data => plain::expand_enum(&context, &integer, data),
                _ => record_enum::expand(&context, data, without_data),
            }
        }
        Data::Union(_) => Err(Error::new_spanned(&input.ident, "a union cannot be a record")),
    }
}

impl Context<'_> {
    /// The implementation of `Record` for a type that is archived by rkyv's traits, and whose view is its native form.
    pub fn record_impl(&self) -> TokenStream {
        let (name, private) = (&self.input.ident, &self.private);
        let (impl_generics, type_generics, bounds) = self.generics.split_for_impl();
        let as_field = portable::as_field(private);
        // SAFETY: the engine's functions keep the promises of `Record` for any `Field`.
        quote! {
            #[automatically_derived]
            unsafe impl #impl_generics #private::Record for #name #type_generics #bounds {
                type View = <Self as #private::Field>::Native;
                const SIZE: ::core::option::Option<usize> = #private::size::<Self>();
                const PLAIN: bool = false;
                #[inline]
                fn encode(&self, out: &mut #private::RecordBuf) {
                    #private::encode(self, out)
                }
                #[inline]
                unsafe fn view_unchecked(bytes: &[u8]) -> &Self::View {
                    unsafe { #private::view_unchecked::<Self>(bytes) }
                }
                fn view(bytes: &[u8]) -> ::core::result::Result<&Self::View, #private::RecordError> {
                    #private::view::<Self>(bytes)
                }
                #[inline]
                fn owned(view: &Self::View) -> Self {
                    #private::owned::<Self>(view)
                }
                fn layout() -> #private::Layout {
                    #private::layout::<Self>()
                }
                #as_field
            }
        }
    }

    /// The attributes of the generated view.
    pub fn view_attributes(&self) -> TokenStream {
        let doc = format!("An archived [`{}`], seen in place.", self.input.ident);
        let derives = &self.attributes.view_derives;
        quote!(#[doc = #doc] #[derive(#(#derives),*)] #[allow(dead_code)])
    }

    /// The implementation of `Debug` for the view, whose body `body` formats into `f`.
    pub fn debug_impl(&self, body: &TokenStream) -> TokenStream {
        let (private, view) = (&self.private, &self.view);
        let mut generics = self.generics.clone();
        for parameter in self.input.generics.type_params() {
            let name = &parameter.ident;
            let bound = parse_quote!(<#name as #private::Field>::Native: ::core::fmt::Debug);
            generics.make_where_clause().predicates.push(bound);
        }
        let (impl_generics, type_generics, bounds) = generics.split_for_impl();
        quote! {
            #[automatically_derived]
            impl #impl_generics ::core::fmt::Debug for #view #type_generics #bounds {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    #[allow(unused_imports)]
                    use #private::{ShowDebug as _, ShowNothing as _};
                    #body
                }
            }
        }
    }

    /// The calls that format the fields of `name`; `place` is the reference to a field.
    pub fn debug_fields(
        &self,
        name: &Ident,
        shape: &Fields,
        list: &[Field],
        place: impl Fn(&Field) -> TokenStream,
    ) -> TokenStream {
        let (private, name) = (&self.private, plain_name(name));
        let fields = list.iter().map(|field| {
            let place = place(field);
            let label = field.name.map(plain_name).map(|name| quote!(#name,));
            quote!(.field(#label (&&#private::Shown(#place)).shown()))
        });
        match shape {
            Fields::Named(_) => quote!(f.debug_struct(#name) #(#fields)* .finish()),
            Fields::Unnamed(_) => quote!(f.debug_tuple(#name) #(#fields)* .finish()),
            Fields::Unit => quote!(f.write_str(#name)),
        }
    }

    /// The expression that is true where all fields are inline.
    pub fn all_inline<'f>(&self, fields: impl Iterator<Item = &'f Field<'f>>) -> TokenStream {
        let private = &self.private;
        let types = fields.map(|field| field.ty);
        quote!(true #(&& <#types as #private::Field>::INLINE)*)
    }

    /// The call that describes a field's type.
    pub fn describe_type(&self, ty: &syn::Type) -> TokenStream {
        let private = &self.private;
        quote!(<#ty as #private::Field>::describe(out);)
    }
}
