//! The operator against a naive model, through checkpoints and rescaling.

mod engine;
mod model;
mod random;
mod rules;
mod spec;
mod triggers;
