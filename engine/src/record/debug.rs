//! How generated views print themselves: every field that can, does.

use std::fmt::{self, Debug, Formatter};

/// A field of a view. `(&&Shown(&field)).shown()` finds [`ShowDebug`] where the field's type is `Debug`, and otherwise, one
/// dereference later, [`ShowNothing`].
#[derive(Debug)]
pub struct Shown<'a, T>(pub &'a T);

/// For fields that print themselves.
pub trait ShowDebug<'a> {
    /// What to print.
    fn shown(&self) -> &'a dyn Debug;
}

impl<'a, T: Debug> ShowDebug<'a> for &Shown<'a, T> {
    fn shown(&self) -> &'a dyn Debug {
        self.0
    }
}

/// For fields that do not.
pub trait ShowNothing<'a> {
    /// What to print.
    fn shown(&self) -> &'a dyn Debug;
}

impl<'a, T> ShowNothing<'a> for Shown<'a, T> {
    fn shown(&self) -> &'a dyn Debug {
        &NotShown
    }
}

/// Stands for a field that cannot be printed.
struct NotShown;

impl Debug for NotShown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
