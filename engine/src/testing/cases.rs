//! Tables of cases in data files: what is done to a program, and what has to come out of it, row by row.
//!
//! ```text
//! # Windows of five seconds that wait for two more.
//! record,    watermark,  processing time,  expect
//! 10 @ 1000
//! 5 @ 4999,  4999,       ,                 15 @ 4999
//! 7 @ 4000,  ,           ,                 22 @ 4999
//! ,          6999
//! 1 @ 3000,  ,           60000,
//! ```
//!
//! A row pushes a record, raises the watermark, moves the clock, in the order of the columns and as far as it has the cells; then exactly what is in
//! its `expect` must have come out. A watermark cell may also say `idle` or `end`. Several results are separated by `;`. They are written as
//! `Debug` shows them, without the quotes of strings; where an event time does not matter, it can be left out (`15; 22`). A cell
//! with a comma is put in quotes: `"(1, 10) @ 1000"`.
//!
//! Where a program has several inputs or outputs, columns are theirs: `record left`, `watermark left`, `expect late`. Without a name, the only one is
//! meant, or the one that is called `in` or `out`. An output without a column may give out what it likes.
//!
//! ```
//! use millstream_engine::prelude::*;
//! use millstream_engine::testing::{Cases, Input, single};
//! use millstream_engine::time::Ticks;
//!
//! let table = "record, watermark, expect\n 3 @ 1\n 4 @ 8, 9, 7 @ 9";
//! let sums = single(|_, numbers: Input<i64>| {
//!     numbers.key_by(|_| 0u64).window(Tumbling::of(Ticks(10))).sum(|n| *n).map(|sum| sum.value)
//! });
//! // Usually: Cases::read("tests/cases/sums.csv")
//! Cases::parse("sums.csv", table)?.input("in", str::parse::<i64>).check(sums)?;
//! # Ok::<(), millstream_engine::testing::CasesError>(())
//! ```

mod error;
mod table;

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::CasesError;

use table::{Column, Row, Says};

use super::contract;
use super::harness::{Harness, HarnessError, Shown, Step, TestFlow, Width};
use crate::element::Timestamp;
use crate::job::Job;
use crate::record::Record;

/// Makes a step of a record's text and its event time.
type MakeStep = Box<dyn Fn(&str, Timestamp) -> Result<Step, String>>;

/// A table of cases; see the [module](self).
pub struct Cases {
    file: PathBuf,
    rows: Vec<Row>,
    /// By input.
    records: BTreeMap<String, MakeStep>,
}

impl Cases {
    /// Reads a table from a file.
    ///
    /// # Errors
    /// The file cannot be read, or is not a table of cases.
    pub fn read(file: impl AsRef<Path>) -> Result<Cases, CasesError> {
        let file = file.as_ref();
        match std::fs::read_to_string(file) {
            Ok(text) => Cases::parse(file, &text),
            Err(error) => Err(CasesError::Read { file: file.to_owned(), error }),
        }
    }

    /// Takes a table from a text, which errors call `file`.
    ///
    /// # Errors
    /// It is not a table of cases.
    pub fn parse(file: impl AsRef<Path>, text: &str) -> Result<Cases, CasesError> {
        let file = file.as_ref().to_owned();
        Ok(Cases { rows: table::rows(&file, text)?, file, records: BTreeMap::new() })
    }

    /// Says how the text of a record of an input is read.
    pub fn input<T: Record + Debug, E: Display>(
        mut self,
        name: impl Into<String>,
        read: impl Fn(&str) -> Result<T, E> + 'static,
    ) -> Cases {
        let step = move |text: &str, at: Timestamp| match read(text) {
            Ok(record) => Ok(Step::push(record, at)),
            Err(error) => Err(format!("`{text}` is not a record of this input: {error}")),
        };
        self.records.insert(name.into(), Box::new(step));
        self
    }

    /// Runs the rows straight through and compares what comes out with what is expected; then holds the program to the
    /// [contract] with the same rows.
    ///
    /// # Errors
    /// A row that cannot be read or run, or of which something else comes.
    pub fn check(&self, program: impl Fn(&TestFlow) + Send + Sync + 'static) -> Result<(), CasesError> {
        let program: Arc<dyn Fn(&TestFlow) + Send + Sync> = Arc::new(program);
        let first = self.rows.first().map_or(1, |row| row.line);
        let harness = Harness::start(Job::new("cases"), program.clone(), Width::WIDE);
        let mut harness = harness.map_err(|error| self.failed(first, error))?;
        let (mut trace, mut lines) = (Vec::new(), Vec::new());
        for row in &self.rows {
            for step in self.steps(row)? {
                harness.step(&step).map_err(|error| self.failed(row.line, error))?;
                trace.push(step);
                lines.push(row.line);
            }
            self.compare(row, &mut harness)?;
        }
        let again = move |flow: &TestFlow| program(flow);
        contract::check(again, &trace).map_err(|broken| {
            let line = lines.get(broken.number() - 1).or(lines.last()).copied().unwrap_or(first);
            CasesError::Broken { file: self.file.clone(), line, broken: Box::new(broken) }
        })
    }

    /// The same, for a test.
    ///
    /// # Panics
    /// Where [`Cases::check`] fails, with its words.
    #[track_caller]
    pub fn hold(&self, program: impl Fn(&TestFlow) + Send + Sync + 'static) {
        if let Err(error) = self.check(program) {
            panic!("{error}");
        }
    }

    /// The steps of all rows, for a trace.
    ///
    /// # Errors
    /// A row that cannot be read.
    pub fn trace(&self) -> Result<Vec<Step>, CasesError> {
        let mut trace = Vec::new();
        for row in &self.rows {
            trace.extend(self.steps(row)?);
        }
        Ok(trace)
    }

    fn steps(&self, row: &Row) -> Result<Vec<Step>, CasesError> {
        let mut steps = Vec::new();
        for (column, cell) in &row.cells {
            let step = match column {
                Column::Record(input) => self.record(input.as_deref(), cell).map(|step| (step, input)),
                Column::Watermark(input) => table::watermark(cell).map(|says| {
                    let step = match says {
                        Says::Watermark(to) => Step::watermark(to),
                        Says::Idle => Step::idle(),
                        Says::End => Step::end(),
                    };
                    (step, input)
                }),
                Column::ProcessingTime => table::time(cell).map(|to| (Step::clock(to), &None)),
                Column::Expect(_) => continue,
            };
            let (step, input) = step.map_err(|what| self.malformed(row, what))?;
            steps.push(match input {
                Some(input) => step.to(input),
                None => step,
            });
        }
        Ok(steps)
    }

    fn record(&self, input: Option<&str>, cell: &str) -> Result<Step, String> {
        let (text, at) = table::record(cell)?;
        let make = match input {
            Some(input) => self.records.get(input),
            // Which one is meant is for the harness to say.
            None if self.records.len() == 1 => self.records.values().next(),
            None => self.records.get(super::harness::INPUT),
        };
        let Some(make) = make else {
            let name = input.unwrap_or(super::harness::INPUT);
            return Err(format!(
                "nobody has said how records of input `{name}` are read; call .input(\"{name}\", ..)"
            ));
        };
        make(text, at)
    }

    fn compare(&self, row: &Row, harness: &mut Harness) -> Result<(), CasesError> {
        let mut outputs = BTreeMap::new();
        harness.take_into(&mut outputs);
        for (column, cell) in &row.cells {
            let Column::Expect(output) = column else { continue };
            let output = match output {
                Some(output) => output.clone(),
                None => harness.main_output().map_err(|error| self.failed(row.line, error))?,
            };
            let expected = table::expected(cell).map_err(|what| self.malformed(row, what))?;
            let Some(got) = outputs.get(&output) else {
                let known: Vec<String> = outputs.keys().map(|name| format!("`{name}`")).collect();
                let what = format!("the program has no output `{output}`; it has {}", known.join(", "));
                return Err(self.malformed(row, what));
            };
            let same = |(expected, got): (&table::Expected, &Shown)| {
                table::plain(&expected.0) == table::plain(&got.0) && expected.1.is_none_or(|at| at == got.1)
            };
            if expected.len() != got.len() || !expected.iter().zip(got).all(same) {
                return Err(CasesError::Differs {
                    file: self.file.clone(),
                    line: row.line,
                    output,
                    expected: if cell.is_empty() { "nothing".to_owned() } else { cell.clone() },
                    got: shown(got),
                });
            }
        }
        Ok(())
    }

    fn failed(&self, line: usize, error: HarnessError) -> CasesError {
        CasesError::Failed { file: self.file.clone(), line, error }
    }

    fn malformed(&self, row: &Row, what: String) -> CasesError {
        CasesError::Malformed { file: self.file.clone(), line: row.line, what }
    }
}

/// Records as an `expect` cell has them, so that they can be copied into one.
fn shown(records: &[Shown]) -> String {
    if records.is_empty() {
        return "nothing".to_owned();
    }
    let all: Vec<String> = records.iter().map(|(record, at)| format!("{record} @ {at}")).collect();
    all.join("; ")
}
