//! What can be wrong with a table of cases, or with the program that it is about.

use std::path::PathBuf;

use crate::testing::contract::Broken;
use crate::testing::harness::HarnessError;

/// Why a table of cases did not pass. Each error begins with the file and the line.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// The file could not be read.
    #[error("{}: cannot read the cases: {error}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not a table of cases.
    #[error("{}:{line}: {what}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong, and what it should be.
        what: String,
    },
    /// The program cannot be built, or a row cannot be run.
    #[error("{}:{line}: {error}", file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// Why not.
        error: HarnessError,
    },
    /// Something else came out than the table says.
    #[error("{}:{line}: output `{output}` is not what is expected\n  expected {expected}\n       got {got}", file.display())]
    Differs {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// The output.
        output: String,
        /// What the table says.
        expected: String,
        /// What came out.
        got: String,
    },
    /// The rows come out as they should in a straight run, but not in all ways.
    #[error("{}:{line}: {broken}", file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// In which way they do not.
        broken: Box<Broken>,
    },
}
