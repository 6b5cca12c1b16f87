//! Derive macros for Millstream's records and keys.
