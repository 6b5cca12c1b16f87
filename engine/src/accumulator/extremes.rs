//! The least and the greatest.

use std::fmt;

use super::Accumulator;
use crate::checkpoint::codec::{CodecError, Reader, Writer};

/// A number that has a least and a greatest: `i64`, `u64`, `f64` (in the order of [`f64::total_cmp`]).
pub trait Number: Copy + fmt::Debug + fmt::Display + Send + 'static + sealed::Sealed {
    #[doc(hidden)]
    const MINIMUM: &'static str;
    #[doc(hidden)]
    const MAXIMUM: &'static str;
    #[doc(hidden)]
    fn precedes(self, other: Self) -> bool;
    #[doc(hidden)]
    fn to_code(self) -> u64;
    #[doc(hidden)]
    fn from_code(code: u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! number {
    ($type:ty, $name:literal, |$left:ident, $right:ident| $less:expr, |$value:ident| $code:expr, |$from:ident| $back:expr) => {
        impl sealed::Sealed for $type {}
        impl Number for $type {
            const MINIMUM: &'static str = concat!("minimum of ", $name);
            const MAXIMUM: &'static str = concat!("maximum of ", $name);
            #[inline]
            fn precedes(self, other: Self) -> bool {
                let ($left, $right) = (self, other);
                $less
            }
            fn to_code(self) -> u64 {
                let $value = self;
                $code
            }
            fn from_code($from: u64) -> Self {
                $back
            }
        }
    };
}

number!(i64, "i64", |a, b| a < b, |value| value as u64, |code| code as i64);
number!(u64, "u64", |a, b| a < b, |value| value, |code| code);
number!(f64, "f64", |a, b| a.total_cmp(&b).is_lt(), |value| value.to_bits(), |code| f64::from_bits(code));

macro_rules! extreme {
    ($name:ident, $kind:ident, $what:literal, |$new:ident, $old:ident| $takes:expr) => {
        #[doc = concat!("The ", $what, " of the numbers that were added.")]
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name<T>(Option<T>);

        impl<T: Number> $name<T> {
            #[doc = concat!("The ", $what, "; none of no numbers.")]
            pub fn value(self) -> Option<T> {
                self.0
            }
        }

        impl<T> Default for $name<T> {
            fn default() -> Self {
                $name(None)
            }
        }

        impl<T: Number> fmt::Display for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.0 {
                    Some(value) => write!(f, "{value}"),
                    None => f.write_str("of nothing"),
                }
            }
        }

        impl<T: Number> Accumulator for $name<T> {
            type Value = T;
            const KIND: &'static str = T::$kind;

            #[inline]
            fn add(&mut self, $new: T) {
                if self.0.is_none_or(|$old| $takes) {
                    self.0 = Some($new);
                }
            }

            fn merge(&mut self, other: &Self) {
                if let Some(value) = other.0 {
                    self.add(value);
                }
            }

            fn save(&self, out: &mut Writer) {
                out.put_option(self.0, |out, value| {
                    out.put_u64(value.to_code());
                });
            }

            fn load(input: &mut Reader<'_>) -> Result<Self, CodecError> {
                Ok($name(input.option("extreme", |input| input.u64("extreme"))?.map(T::from_code)))
            }
        }
    };
}

extreme!(Minimum, MINIMUM, "least", |new, old| new.precedes(old));
extreme!(Maximum, MAXIMUM, "greatest", |new, old| old.precedes(new));
