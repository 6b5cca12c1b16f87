//! The interval join against a naive model, through checkpoints and rescaling.

mod model;
mod random;
mod rules;
