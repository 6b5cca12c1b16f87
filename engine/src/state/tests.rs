//! Tests of tables.

mod checkpoints;
mod damage;
mod kinds;
mod list;
mod model;
mod shape;
