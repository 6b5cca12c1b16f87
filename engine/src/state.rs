//! Keyed state in pages of the arena.
//!
//! A [`Table`] maps keys to values. It is an extendible hash over pages: the leading bits of a key's hash select a page through
//! the directory, one-byte tags in the page are probed with SIMD, then entries are compared. A full page splits in two, so growth
//! never rehashes a table and never pauses. Values of a fixed size lie in the entries and are changed in place; keys and values of
//! variable size lie in slab pages, large ones in extents.
//!
//! Tables hold page numbers, not pages: every operation takes the [`Arena`](crate::arena::Arena) that the table was made in. All
//! errors are [`StateError`], and mean that the job has to go back to its last checkpoint.

mod batch;
mod directory;
mod layout;
mod list;
mod numbered;
mod old_tables;
mod page;
pub mod probe;
mod purge;
mod restore;
mod slab;
mod split;
mod table;
#[cfg(test)]
mod tests;
mod walk;

pub use crate::arena::StateError;
pub(crate) use list::{Chunk, List};
pub(crate) use numbered::Numbered;
pub use old_tables::OldTables;
pub use restore::TableMeta;
pub use table::Table;
