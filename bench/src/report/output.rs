//! Files that figures are written to.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::html;
use super::model::{Kind, Machine, Run};
use super::read::Source;

/// A file that can be written.
#[derive(Debug)]
pub struct Output(PathBuf);

impl Output {
    /// Opens the file that an argument names: nobody waits for a measurement that cannot be written.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(flag: &str, path: Option<&Path>) -> Result<Option<Output>, String> {
        let Some(path) = path else { return Ok(None) };
        let opened = OpenOptions::new().create(true).append(true).open(path);
        opened.map_err(|error| {
            format!(
                "{flag} {}: cannot be written: {error}; name a file in a directory that is there",
                path.display()
            )
        })?;
        Ok(Some(Output(path.to_owned())))
    }

    /// # Errors
    /// It cannot be written any more.
    pub fn write(&self, text: &str) -> Result<(), String> {
        std::fs::write(&self.0, text).map_err(|error| format!("cannot write {}: {error}", self.0.display()))
    }

    /// Writes a run, for the report and other programs.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_run(&self, run: &Run) -> Result<(), String> {
        let text = serde_json::to_string_pretty(run).map_err(|error| error.to_string())?;
        self.write(&(text + "\n"))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Run {
    /// A run of this process, with no figures yet.
    ///
    /// # Errors
    /// What [`machine::describe`](crate::machine::describe) says is no machine.
    pub fn of_this_process(kind: Kind, machine: &Value) -> Result<Run, String> {
        let machine: Machine = serde_json::from_value(machine.clone()).map_err(|error| error.to_string())?;
        let words: Vec<String> = std::env::args().skip(1).collect();
        let command = format!("cargo run --release -p millstream-bench -- {}", words.join(" "));
        Ok(Run::bare(kind, machine, &command))
    }
}

impl Source {
    /// Where a run comes from, in a paragraph.
    pub fn about(&self) -> String {
        let Run { kind, machine, command, driver, placement, .. } = &self.run;
        let said = |name: &str, what: &Option<String>| {
            what.as_ref().map_or(String::new(), |what| format!("; {name} {}", html::escaped(what)))
        };
        format!(
            "<p class=\"note\"><b>{}</b> ({}): {}{}{}<br/><code>{}</code></p>\n",
            html::escaped(&self.file),
            kind.name(),
            html::escaped(&html::machine(machine)),
            said("driver", driver),
            said("placement:", placement),
            html::escaped(command)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::parse;
    use super::*;

    #[test]
    fn files_that_cannot_be_written_are_told_with_their_argument() {
        let missing = Path::new("/no/such/directory/figures.json");
        let error = Output::open("--json", Some(missing)).unwrap_err();
        assert!(error.starts_with("--json /no/such/directory/figures.json: cannot be written"), "{error}");
        assert!(Output::open("--json", None).unwrap().is_none());
    }

    #[test]
    fn a_run_of_this_process_says_what_it_ran_on() {
        let dir = tempfile::tempdir().unwrap();
        let output = Output::open("--json", Some(&dir.path().join("run.json"))).unwrap().unwrap();
        let mut run = Run::of_this_process(Kind::Latency, &crate::machine::describe(&[0])).unwrap();
        run.memory.push(super::super::model::Memory { label: "m".to_owned(), resident: vec![(0.0, 1)] });
        output.write_run(&run).unwrap();
        let read = parse(&std::fs::read_to_string(output.path()).unwrap()).unwrap();
        assert_eq!(read, run);
        assert_eq!(read.machine.cores, [0]);
        assert!(Source { file: "a<b".to_owned(), run }.about().contains("a&lt;b</b> (latency)"));
    }
}
