//! `Option`, `Box`, tuples, maps and sets, through rkyv.
#![allow(unsafe_code)] // the promises of `Field` and `Record` are made here

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash};

use rkyv::boxed::ArchivedBox;
use rkyv::collections::btree_map::ArchivedBTreeMap;
use rkyv::collections::btree_set::ArchivedBTreeSet;
use rkyv::collections::swiss_table::{ArchivedHashMap, ArchivedHashSet};
use rkyv::option::ArchivedOption;
use rkyv::tuple::{ArchivedTuple2, ArchivedTuple3, ArchivedTuple4, ArchivedTuple5, ArchivedTuple6};

use super::{Description, Field, Layout, Record, RecordBuf, RecordError, archive};
use crate::checkpoint::codec::Writer;
use crate::schema::{Misfit, Type, Types, Value, load, put_items};

/// The portable form of a `Record` that is the field's.
macro_rules! portable_as_field {
    () => {
        fn record_type(types: &mut Types) -> Type {
            <Self as Field>::field_type(types)
        }

        fn save_record(view: &Self::View, out: &mut Writer) {
            <Self as Field>::save_field(view, out);
        }

        fn load_record(value: Value) -> Result<Self, Misfit> {
            load(value)
        }
    };
}
pub(super) use portable_as_field;

/// The items of a list of so many.
pub(super) fn items_of(value: Value, len: usize, wanted: &str) -> Result<Vec<Value>, Misfit> {
    match value {
        Value::List(items) if items.len() == len => Ok(items),
        other => Err(Misfit::found(&other, format_args!("{wanted} of {len}"))),
    }
}

/// A `Record` implementation whose view is the field's native form.
macro_rules! record_as_field {
    () => {
        type View = <Self as Field>::Native;
        const SIZE: Option<usize> = archive::size::<Self>();
        const PLAIN: bool = false;

        #[inline]
        fn encode(&self, out: &mut RecordBuf) {
            archive::encode(self, out);
        }

        #[inline]
        unsafe fn view_unchecked(bytes: &[u8]) -> &Self::View {
            // SAFETY: the caller promises what `view_unchecked` asks for.
            unsafe { archive::view_unchecked::<Self>(bytes) }
        }

        fn view(bytes: &[u8]) -> Result<&Self::View, RecordError> {
            archive::view::<Self>(bytes)
        }

        #[inline]
        fn owned(view: &Self::View) -> Self {
            archive::owned::<Self>(view)
        }

        fn layout() -> Layout {
            archive::layout::<Self>()
        }

        portable_as_field!();
    };
}

/// A `Field` implementation whose accessors return references.
macro_rules! get_by_reference {
    () => {
        type Get<'a> = &'a Self;
        type GetView<'a> = &'a Self::Native;

        #[inline]
        fn get(&self) -> &Self {
            self
        }

        #[inline]
        fn get_view(native: &Self::Native) -> &Self::Native {
            native
        }
    };
}

/// Describes `Name<A, B>`.
macro_rules! describe_generic {
    ($name:literal, $first:ident $(, $more:ident)*) => {
        fn describe(out: &mut Description) {
            out.push(concat!($name, "<"));
            $first::describe(out);
            $(
                out.push(", ");
                $more::describe(out);
            )*
            out.push(">");
        }
    };
}

// SAFETY: `ArchivedOption` is `repr(u8)`, so that its layout follows from its content's, which is the same by induction.
unsafe impl<T: Field> Field for Option<T> {
    type Native = ArchivedOption<T::Native>;
    const INLINE: bool = T::INLINE;
    type Get<'a> = Option<T::Get<'a>>;
    type GetView<'a> = Option<T::GetView<'a>>;

    #[inline]
    fn get(&self) -> Self::Get<'_> {
        self.as_ref().map(T::get)
    }

    #[inline]
    fn get_view(native: &Self::Native) -> Self::GetView<'_> {
        native.as_ref().map(T::get_view)
    }

    describe_generic!("Option", T);

    const OPTIONAL: bool = true;

    fn field_type(types: &mut Types) -> Type {
        Type::option(T::field_type(types))
    }

    fn save_field(native: &Self::Native, out: &mut Writer) {
        out.put_option(native.as_ref(), |out, value| T::save_field(value, out));
    }

    fn load_field(value: Value) -> Result<Self, Misfit> {
        match value {
            Value::Option(value) => value.map(|value| load(*value)).transpose(),
            other => load(other).map(Some),
        }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

// SAFETY: what rkyv writes, with its root last.
unsafe impl<T: Field> Record for Option<T> {
    record_as_field!();
}

// SAFETY: an `ArchivedBox` of a sized type is a relative pointer, whatever it points to.
unsafe impl<T: Field> Field for Box<T> {
    type Native = ArchivedBox<T::Native>;
    const INLINE: bool = false;
    type Get<'a> = &'a T;
    type GetView<'a> = &'a T::Native;

    #[inline]
    fn get(&self) -> &T {
        self
    }

    #[inline]
    fn get_view(native: &Self::Native) -> &T::Native {
        native
    }

    describe_generic!("Box", T);

    fn field_type(types: &mut Types) -> Type {
        T::field_type(types)
    }

    fn save_field(native: &Self::Native, out: &mut Writer) {
        T::save_field(native, out);
    }

    fn load_field(value: Value) -> Result<Self, Misfit> {
        load(value).map(Box::new)
    }
}

/// The portable form of a map: the number of entries, then each, in the order of their bytes. Hash maps have no order of their own that
/// another program could repeat.
fn save_sorted<T>(
    len: usize,
    items: impl Iterator<Item = T>,
    save: impl Fn(T, &mut Writer),
    out: &mut Writer,
) {
    let encoded = items.map(|item| {
        let mut bytes = Writer::new();
        put_items(&mut bytes, [item], |out, item| save(item, out));
        bytes.into_bytes()
    });
    let mut encoded: Vec<Vec<u8>> = encoded.collect();
    encoded.sort_unstable();
    out.put_u64(len as u64);
    for bytes in encoded {
        out.put_raw(&bytes);
    }
}

/// A map in portable form.
macro_rules! portable_map {
    ($key:ident, $value:ident) => {
        fn field_type(types: &mut Types) -> Type {
            Type::Map(Box::new($key::field_type(types)), Box::new($value::field_type(types)))
        }

        fn save_field(native: &Self::Native, out: &mut Writer) {
            let save = |(key, value): (&$key::Native, &$value::Native), out: &mut Writer| {
                $key::save_field(key, out);
                $value::save_field(value, out);
            };
            save_sorted(native.len(), native.iter(), save, out);
        }

        fn load_field(value: Value) -> Result<Self, Misfit> {
            match value {
                Value::Map(entries) => {
                    entries.into_iter().map(|(key, value)| Ok((load(key)?, load(value)?))).collect()
                }
                other => Err(Misfit::found(&other, "a map")),
            }
        }
    };
}

/// A set in portable form.
macro_rules! portable_set {
    ($item:ident) => {
        fn field_type(types: &mut Types) -> Type {
            Type::Set(Box::new($item::field_type(types)))
        }

        fn save_field(native: &Self::Native, out: &mut Writer) {
            save_sorted(native.len(), native.iter(), $item::save_field, out);
        }

        fn load_field(value: Value) -> Result<Self, Misfit> {
            match value {
                Value::List(items) => items.into_iter().map(load).collect(),
                other => Err(Misfit::found(&other, "a set")),
            }
        }
    };
}

/// Collections, whose archived forms are `repr(C)` and hold their items behind relative pointers.
macro_rules! collections {
    ($($(#[$doc:meta])* $name:literal $owned:ty => $native:ty,
        [$($parameter:ident),*] $portable:ident [$($item:ident),*] where {$($bounds:tt)*})*) => {$(
        // SAFETY: the archived form is `repr(C)` and of relative pointers and lengths; its items are `Native` where they were
        // `Archived`, which is the same by induction, and hash and compare alike.
        unsafe impl<$($parameter),*> Field for $owned
        where
            $($bounds)*
        {
            type Native = $native;
            const INLINE: bool = false;
            get_by_reference!();
            describe_generic!($name, $($item),*);
            $portable!($($item),*);
        }

        // SAFETY: what rkyv writes, with its root last.
        unsafe impl<$($parameter),*> Record for $owned
        where
            $($bounds)*
        {
            record_as_field!();
        }
    )*};
}

collections! {
    "BTreeMap" BTreeMap<K, V> => ArchivedBTreeMap<K::Native, V::Native>,
        [K, V] portable_map [K, V] where { K: Field + Ord, K::Archived: Ord, V: Field }
    "BTreeSet" BTreeSet<K> => ArchivedBTreeSet<K::Native>,
        [K] portable_set [K] where { K: Field + Ord, K::Archived: Ord }
    "HashMap" HashMap<K, V, H> => ArchivedHashMap<K::Native, V::Native>,
        [K, V, H] portable_map [K, V] where {
            K: Field + Hash + Eq, K::Archived: Hash + Eq, V: Field, H: BuildHasher + Default + 'static
        }
    "HashSet" HashSet<K, H> => ArchivedHashSet<K::Native>,
        [K, H] portable_set [K] where { K: Field + Hash + Eq, K::Archived: Hash + Eq, H: BuildHasher + Default + 'static }
}

macro_rules! tuples {
    ($($native:ident($first:ident 0 $(, $more:ident $index:tt)*))*) => {$(
        // SAFETY: rkyv's tuples are `repr(C)`, so that their layout follows from their members', which are the same by induction.
        unsafe impl<$first: Field $(, $more: Field)*> Field for ($first, $($more,)*) {
            type Native = $native<$first::Native $(, $more::Native)*>;
            const INLINE: bool = $first::INLINE $(&& $more::INLINE)*;
            get_by_reference!();

            fn describe(out: &mut Description) {
                out.push("(");
                $first::describe(out);
                $(
                    out.push(", ");
                    $more::describe(out);
                )*
                out.push(")");
            }

            fn field_type(types: &mut Types) -> Type {
                Type::Tuple(vec![$first::field_type(types) $(, $more::field_type(types))*])
            }

            fn save_field(native: &Self::Native, out: &mut Writer) {
                $first::save_field(&native.0, out);
                $($more::save_field(&native.$index, out);)*
            }

            fn load_field(value: Value) -> Result<Self, Misfit> {
                const LEN: usize = [0 $(, $index)*].len();
                let mut items = items_of(value, LEN, "a tuple")?.into_iter();
                let mut next = || items.next().expect("as many as were counted");
                Ok((
                    load::<$first>(next()).map_err(|misfit| misfit.within("0"))?,
                    $(load::<$more>(next()).map_err(|misfit| misfit.within(stringify!($index)))?,)*
                ))
            }
        }

        // SAFETY: what rkyv writes, with its root last.
        unsafe impl<$first: Field $(, $more: Field)*> Record for ($first, $($more,)*) {
            record_as_field!();
        }
    )*};
}

tuples! {
    ArchivedTuple2(A 0, B 1)
    ArchivedTuple3(A 0, B 1, C 2)
    ArchivedTuple4(A 0, B 1, C 2, D 3)
    ArchivedTuple5(A 0, B 1, C 2, D 3, E 4)
    ArchivedTuple6(A 0, B 1, C 2, D 3, E 4, F 5)
}
