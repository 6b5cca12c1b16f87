//! Joins against naive models, through checkpoints and rescaling.

mod all;
mod as_of;
mod model;
mod random;
mod rules;
