//! What can go wrong with files of Parquet.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use millstream_engine::savepoint::SavepointError;
use millstream_engine::schema::Misfit;

/// Why a state could not be written into a file of Parquet, or read from one.
#[derive(Debug, thiserror::Error)]
pub enum ParquetError {
    /// The file cannot be opened or made.
    #[error("{}: {cause}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        cause: io::Error,
    },
    /// The file cannot be written, or is no file of Parquet that can be read.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// A column does not fit the state.
    #[error(
        "{}: column `{column}`: {problem}; the columns of a state are those that an export of it has",
        path.display()
    )]
    Column {
        /// The file.
        path: PathBuf,
        /// The column, and its parts joined by dots.
        column: String,
        /// What does not fit.
        problem: String,
    },
    /// A value does not fit the state.
    #[error("{}: row {row}, column `{column}`: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// The column, and its parts joined by dots.
        column: String,
        /// What does not fit.
        problem: String,
    },
    /// An entry cannot be put into the savepoint.
    #[error("{}: row {row}: {cause}", path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// The row, from 1.
        row: u64,
        /// Why not.
        #[source]
        cause: SavepointError,
    },
    /// The savepoint cannot be read, or the state cannot be changed.
    #[error(transparent)]
    Savepoint(#[from] SavepointError),
}

impl ParquetError {
    pub(super) fn open(path: &Path, cause: io::Error) -> Self {
        ParquetError::Open { path: path.to_owned(), cause }
    }

    pub(super) fn file(path: &Path, cause: impl Error + Send + Sync + 'static) -> Self {
        ParquetError::File { path: path.to_owned(), cause: Box::new(cause) }
    }

    pub(super) fn column(path: &Path, misfit: Misfit) -> Self {
        ParquetError::Column { path: path.to_owned(), column: misfit.path, problem: misfit.problem }
    }

    pub(super) fn value(path: &Path, row: u64, misfit: Misfit) -> Self {
        ParquetError::Value { path: path.to_owned(), row, column: misfit.path, problem: misfit.problem }
    }
}
