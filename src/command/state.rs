//! `millstream state`: savepoints.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::Subcommand;
use millstream::savepoint::{Savepoint, SavepointError};
use millstream::schema::Value;

use super::format::Format;

#[derive(Subcommand)]
pub enum State {
    /// Lists what a savepoint holds: sources, operators, and their states with their types.
    Ls {
        /// The directory of the savepoint.
        savepoint: PathBuf,
    },
    /// Shows the entries of a key, as lines of JSON.
    Get {
        /// The directory of the savepoint.
        savepoint: PathBuf,
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// The key, as JSON: 7, "ada", {"bank": 7, "number": 1234}.
        key: String,
    },
    /// Writes a state as lines of JSON, or into a file of Parquet.
    Export {
        /// The directory of the savepoint.
        savepoint: PathBuf,
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// The file to write to; without it, the standard output.
        #[arg(long)]
        out: Option<PathBuf>,
        /// What to write. Without it the file's ending says so: `.parquet`, or anything else for lines of JSON.
        #[arg(long)]
        format: Option<Format>,
    },
    /// Makes another savepoint, in which a state has the entries of a file of lines of JSON or of Parquet.
    Import {
        /// The directory of the savepoint.
        savepoint: PathBuf,
        /// The operator.
        operator: String,
        /// The state.
        state: String,
        /// The file, as `export` writes it.
        #[arg(long)]
        from: PathBuf,
        /// What it is. Without it the file's ending says so: `.parquet`, or anything else for lines of JSON.
        #[arg(long)]
        format: Option<Format>,
        /// The directory in which the other savepoint gets one of its own.
        #[arg(long)]
        into: PathBuf,
        /// Whether all entries that there are go first.
        #[arg(long)]
        replace: bool,
    },
    /// Tells what two savepoints differ in.
    Diff {
        /// The directory of the first one.
        then: PathBuf,
        /// The directory of the second one.
        now: PathBuf,
    },
}

impl State {
    /// Does it, and writes what comes of it to `out`.
    pub fn run(&self, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
        match self {
            State::Ls { savepoint } => list(&Savepoint::open(savepoint)?, out),
            State::Get { savepoint, operator, state, key } => {
                let savepoint = Savepoint::open(savepoint)?;
                let schema = savepoint.state(operator, state)?.key.key;
                let key =
                    serde_json::from_str(key).map_err(|error| format!("the key is no JSON: {error}"))?;
                let key = Value::from_json(&schema, &key).map_err(|misfit| format!("the key: {misfit}"))?;
                for entry in savepoint.get(operator, state, &key)? {
                    writeln!(out, "{}", entry.to_json())?;
                }
                Ok(())
            }
            State::Export { savepoint, operator, state, out: file, format } => {
                let savepoint = Savepoint::open(savepoint)?;
                match file {
                    Some(path) => Format::of(path, *format).export(&savepoint, operator, state, path)?,
                    None if *format == Some(Format::Parquet) => {
                        return Err("Parquet is written into files only; name one with --out".into());
                    }
                    None => savepoint.export_json(operator, state, out)?,
                };
                Ok(())
            }
            State::Import { savepoint, operator, state, from, format, into, replace } => {
                let savepoint = Savepoint::open(savepoint)?;
                let mut edit = savepoint.edit();
                if *replace {
                    edit.clear(operator, state)?;
                }
                Format::of(from, *format).import(&mut edit, operator, state, from)?;
                writeln!(out, "{}", edit.write(into)?.display())?;
                Ok(())
            }
            State::Diff { then, now } => {
                let (then, now) = (Savepoint::open(then)?, Savepoint::open(now)?);
                then.diff(&now, |difference| writeln!(out, "{difference}").map_err(SavepointError::Output))?;
                Ok(())
            }
        }
    }
}

fn list(savepoint: &Savepoint, out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let (job, epoch, shards) = (savepoint.job(), savepoint.epoch(), savepoint.shards());
    writeln!(out, "job `{job}`, checkpoint {epoch}, {shards} shards, tick {}", savepoint.tick())?;
    for source in savepoint.sources() {
        let ended = if source.ended { ", ended" } else { "" };
        writeln!(out, "source `{}`, partition `{}`{ended}", source.operator, source.partition)?;
    }
    for state in savepoint.states() {
        let part = state.key.part.as_ref().map(|part| format!(" with {part}")).unwrap_or_default();
        writeln!(
            out,
            "operator `{}`, state `{}`: {} entries by {}{part}: {}",
            state.operator, state.state, state.entries, state.key.key, state.value
        )?;
    }
    Ok(())
}
