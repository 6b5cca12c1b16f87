//! What every example does beside its job: it runs it, or says what it is.

#![allow(dead_code)] // no example uses all of it

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use millstream::prelude::*;
use millstream::supervise::Role;

/// Whether the job is to be explained.
#[derive(Args, Clone, Copy)]
pub struct Explain {
    /// Prints what the job is, as text or as a drawing, and does not run it.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "text")]
    explain: Option<How>,
}

#[derive(ValueEnum, Clone, Copy)]
enum How {
    /// Operators, chains and shards.
    Text,
    /// A drawing of the chains: an SVG file.
    Svg,
}

impl Explain {
    /// Explains the job, where that is what is asked for.
    pub fn instead(self, job: &Job, program: impl Fn(&Flow)) -> Option<ExitCode> {
        let how = self.explain?;
        Some(match (job.explain(program), how) {
            (Ok(explanation), How::Text) => {
                print!("{explanation}");
                ExitCode::SUCCESS
            }
            (Ok(explanation), How::Svg) => {
                print!("{}", explanation.drawing());
                ExitCode::SUCCESS
            }
            (Err(error), _) => failed(&error),
        })
    }
}

/// Runs the job, or explains it.
pub fn run(job: Job, explain: Explain, program: impl Fn(&Flow) + Send + Sync + 'static) -> ExitCode {
    if let Some(code) = explain.instead(&job, &program) {
        return code;
    }
    match millstream::signals::run(job, program) {
        Ok(summary) => ended(&summary),
        Err(error) => failed(&error),
    }
}

/// What a job that has not failed ends the process with.
pub fn ended(summary: &Summary) -> ExitCode {
    match summary.status {
        JobStatus::Canceled => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    }
}

/// Where it is asked for, this process only sees to it that another one like it runs: gives what to exit with when all is over.
pub fn supervised(asked: bool, strategy: RestartStrategy) -> Option<ExitCode> {
    if !asked {
        return None;
    }
    match millstream::supervise::supervise(strategy) {
        Ok(Role::Child) => None,
        Ok(Role::Supervisor(code)) => Some(code),
        Err(error) => {
            eprintln!("{error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn failed(error: &JobError) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
