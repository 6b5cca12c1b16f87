//! Tests of tables.

mod checkpoints;
mod damage;
mod kinds;
mod model;
mod shape;
