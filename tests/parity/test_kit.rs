//! The public test kit, used as a stranger would use it.

mod contract;
mod harness;
