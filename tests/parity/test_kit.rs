//! The public test kit, used as a stranger would use it.

mod cases;
mod contract;
mod harness;
mod scripts;
