//! The operator against a naive model, in one go and cut anywhere by checkpoints, on any number of shards.

mod driver;
mod model;
mod random;
mod rules;
