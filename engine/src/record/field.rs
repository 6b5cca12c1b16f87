//! What a record can be made of.
#![allow(unsafe_code)] // the trait's promises are what unsafe code relies on

use rkyv::bytecheck::CheckBytes;
use rkyv::{Archive, Deserialize, Serialize};

use super::archive::{Checker, Decoder, Encoder};
use super::{Description, Record};
use crate::checkpoint::codec::Writer;
use crate::schema::{Misfit, Type, Types, Value};

/// A type that a record can contain: numbers, `bool`, `char`, `String`, `Option`, `Vec`, `Box`, arrays, tuples, maps, sets, and
/// whatever derives `Record`.
///
/// rkyv archives numbers as types of their own (`u64_le`) that do not compute or compare like numbers. On little-endian
/// machines these have the very bytes of the native types, so that the archived form can be seen as
/// [`Native`](Field::Native), whose members are native: `view.price` is an `i64`.
///
/// # Safety
/// - `Native` has the size, the alignment and the valid values of `Archived`, recursively, and reading either gives the same.
/// - Where `INLINE` is true, serialising writes nothing and needs no room: the archived form holds no relative pointer.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a record",
    label = "not a field of a record",
    note = "add `#[derive(Record)]` to `{Self}` if it is yours",
    note = "`usize` and `isize` have no fixed width: use `u64` or `i64`"
)]
pub unsafe trait Field:
    for<'a> Serialize<Encoder<'a>>
    + Archive<Archived: for<'a> CheckBytes<Checker<'a>> + Deserialize<Self, Decoder>>
    + Sized
    + 'static
{
    /// The archived form with native members.
    type Native: 'static;

    /// Whether the archived form has no out-of-line part, so that it always has the same length.
    const INLINE: bool;

    /// What a derived accessor of an owner returns: the value for numbers, `&str` for `String`, `&[T]` for `Vec<T>`, an
    /// `Option` of these, otherwise a reference.
    type Get<'a>;

    /// What a derived accessor of a view returns: the same, of native forms.
    type GetView<'a>;

    /// The field of an owner, as an accessor returns it.
    fn get(&self) -> Self::Get<'_>;

    /// The field of a view, as an accessor returns it.
    fn get_view(native: &Self::Native) -> Self::GetView<'_>;

    /// Describes the layout.
    fn describe(out: &mut Description);

    /// Whether the type is an `Option`.
    const OPTIONAL: bool = false;

    /// The type as data.
    fn field_type(types: &mut Types) -> Type;

    /// Appends the value that a view stands for, in the portable encoding of the type that [`Field::field_type`] gives.
    fn save_field(native: &Self::Native, out: &mut Writer);

    /// The field that a value stands for, which may be one of an earlier form of the type.
    ///
    /// # Errors
    /// It does not fit.
    fn load_field(value: Value) -> Result<Self, Misfit>;

    /// What stands for a field that a file does not have, where its type has such a value by itself.
    fn absent() -> Option<Self> {
        None
    }
}

/// A record whose own bytes are its archived form: numbers, `bool`, `char`, `()`, arrays of these, and `#[repr(C)]` structs of
/// these that derive `Record`.
///
/// # Safety
/// [`Record::PLAIN`] is true, with all that it promises; the type has no destructor.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not plain bytes",
    label = "not plain bytes",
    note = "`#[derive(Record)]` archives a `#[repr(C)]` struct as itself, and so all its fields have to be plain: numbers, \
            `bool`, `char`, arrays of these, and `#[repr(C)]` records",
    note = "remove `#[repr(C)]` from the struct to archive it field by field"
)]
pub unsafe trait Plain: Record<View = Self> + Field<Native = Self> {}
