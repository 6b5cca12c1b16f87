//! Keyed state in pages of the arena.
