//! Flink's rules, kept to the tick. Each test is named after the rule it shows (`docs/parity.md` lists them) and uses the
//! public API only; rules that one module keeps by itself are shown beside that module.

#![allow(clippy::unwrap_used)] // the exemption for tests does not reach their helper functions

mod time;
mod window;
