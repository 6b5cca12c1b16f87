//! Tests of tables.

mod checkpoints;
mod damage;
mod kinds;
mod measure;
mod model;
mod shape;
