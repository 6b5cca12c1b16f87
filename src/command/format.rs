//! What files of entries `millstream state export` writes and `import` reads.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use millstream::savepoint::{Edit, Savepoint};

/// The format of a file of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// An object of JSON per line.
    Json,
    /// Parquet (of a build with the feature `parquet`).
    Parquet,
}

impl Format {
    /// That of a file, by what was said or by its ending.
    pub fn of(path: &Path, said: Option<Format>) -> Format {
        let ends_so = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
        said.unwrap_or(if ends_so { Format::Parquet } else { Format::Json })
    }

    /// Writes a state into a file. Gives the number of entries.
    pub fn export(
        self,
        savepoint: &Savepoint,
        operator: &str,
        state: &str,
        path: &Path,
    ) -> Result<u64, Box<dyn Error>> {
        match self {
            Format::Json => {
                let mut file = BufWriter::new(File::create(path).map_err(|error| at(path, &error))?);
                let entries = savepoint.export_json(operator, state, &mut file)?;
                file.flush().map_err(|error| at(path, &error))?;
                Ok(entries)
            }
            Format::Parquet => parquet::export(savepoint, operator, state, path),
        }
    }

    /// Puts the entries of a file into a state. Gives their number.
    pub fn import(
        self,
        edit: &mut Edit<'_>,
        operator: &str,
        state: &str,
        path: &Path,
    ) -> Result<u64, Box<dyn Error>> {
        match self {
            Format::Json => {
                let file = File::open(path).map_err(|error| at(path, &error))?;
                Ok(edit.import_json(operator, state, &mut BufReader::new(file))?)
            }
            Format::Parquet => parquet::import(edit, operator, state, path),
        }
    }
}

fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(feature = "parquet")]
mod parquet {
    use super::*;

    pub fn export(
        savepoint: &Savepoint,
        operator: &str,
        state: &str,
        path: &Path,
    ) -> Result<u64, Box<dyn Error>> {
        Ok(millstream::io::parquet::export(savepoint, operator, state, path)?)
    }

    pub fn import(
        edit: &mut Edit<'_>,
        operator: &str,
        state: &str,
        path: &Path,
    ) -> Result<u64, Box<dyn Error>> {
        Ok(millstream::io::parquet::import(edit, operator, state, path)?)
    }
}

/// Says what to do about it.
#[cfg(not(feature = "parquet"))]
mod parquet {
    use super::*;

    const MISSING: &str = "this build knows no Parquet: build it with the features `command` and `parquet`, or say --format json";

    pub fn export(_: &Savepoint, _: &str, _: &str, _: &Path) -> Result<u64, Box<dyn Error>> {
        Err(MISSING.into())
    }

    pub fn import(_: &mut Edit<'_>, _: &str, _: &str, _: &Path) -> Result<u64, Box<dyn Error>> {
        Err(MISSING.into())
    }
}
