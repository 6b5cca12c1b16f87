//! What the command line says.

mod format;
mod state;

use std::error::Error;

use clap::{Parser, Subcommand};

/// Millstream, a dataflow engine.
#[derive(Parser)]
#[command(name = "millstream", version)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Looks into savepoints, and makes others of them.
    #[command(subcommand)]
    State(state::State),
}

/// Does what the command line asks for.
pub fn run() -> Result<(), Box<dyn Error>> {
    let What::State(state) = Command::parse().what;
    state.run(&mut std::io::stdout().lock())
}
