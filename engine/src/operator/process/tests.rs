//! Timers of keyed process functions against a sorted set, through checkpoints and rescaling.

mod commands;
mod engine;
mod model;
mod random;
