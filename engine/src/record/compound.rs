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
}

/// Collections, whose archived forms are `repr(C)` and hold their items behind relative pointers.
macro_rules! collections {
    ($($(#[$doc:meta])* $name:literal $owned:ty => $native:ty,
        [$($parameter:ident),*] [$($item:ident),*] where {$($bounds:tt)*})*) => {$(
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
        [K, V] [K, V] where { K: Field + Ord, K::Archived: Ord, V: Field }
    "BTreeSet" BTreeSet<K> => ArchivedBTreeSet<K::Native>,
        [K] [K] where { K: Field + Ord, K::Archived: Ord }
    "HashMap" HashMap<K, V, H> => ArchivedHashMap<K::Native, V::Native>,
        [K, V, H] [K, V] where {
            K: Field + Hash + Eq, K::Archived: Hash + Eq, V: Field, H: BuildHasher + Default + 'static
        }
    "HashSet" HashSet<K, H> => ArchivedHashSet<K::Native>,
        [K, H] [K] where { K: Field + Hash + Eq, K::Archived: Hash + Eq, H: BuildHasher + Default + 'static }
}

macro_rules! tuples {
    ($($native:ident($first:ident $(, $more:ident)*))*) => {$(
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
        }

        // SAFETY: what rkyv writes, with its root last.
        unsafe impl<$first: Field $(, $more: Field)*> Record for ($first, $($more,)*) {
            record_as_field!();
        }
    )*};
}

tuples! {
    ArchivedTuple2(A, B)
    ArchivedTuple3(A, B, C)
    ArchivedTuple4(A, B, C, D)
    ArchivedTuple5(A, B, C, D, E)
    ArchivedTuple6(A, B, C, D, E, F)
}
