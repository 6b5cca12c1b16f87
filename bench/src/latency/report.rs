//! What a run has to tell: as it goes, as a file for programs, as a page.

use std::error::Error;
use std::path::Path;

use serde_json::Value;

use super::figures::Group;
use crate::report::model::{Kind, Run};
use crate::report::output::Output;
use crate::report::page;
use crate::report::read::Source;

/// The groups so far, and where they go in the end.
pub struct Report {
    groups: Vec<Group>,
    prints: bool,
    json: Option<Output>,
    html: Option<Output>,
}

impl Report {
    /// A report into these files.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(json: Option<&Path>, html: Option<&Path>) -> Result<Report, String> {
        let (json, html) = (Output::open("--json", json)?, Output::open("--html", html)?);
        Ok(Report { groups: Vec::new(), prints: true, json, html })
    }

    /// One that prints nothing.
    #[cfg(test)]
    pub fn quiet() -> Report {
        Report { groups: Vec::new(), prints: false, json: None, html: None }
    }

    /// Another group is measured.
    pub fn add(&mut self, group: Group) {
        if self.prints {
            println!("{group}");
        }
        self.groups.push(group);
    }

    /// What was measured.
    #[cfg(test)]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Writes the files.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn write(&self, machine: &Value) -> Result<(), Box<dyn Error>> {
        let groups = self.groups.iter().map(Group::to_model).collect();
        let run = Run { groups, ..Run::of_this_process(Kind::Latency, machine)? };
        if let Some(json) = &self.json {
            json.write_run(&run)?;
        }
        if let Some(html) = &self.html {
            html.write(&page::page("Millstream: latency", &[Source { file: "this run".to_owned(), run }]))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{second, series};
    use super::*;
    use crate::machine;
    use crate::report::read::parse;

    #[test]
    fn files_that_cannot_be_written_are_told_before_anything_is_measured() {
        let missing = Path::new("/no/such/directory/figures.json");
        let error = Report::new(Some(missing), None).err().unwrap();
        assert!(error.starts_with("--json /no/such/directory/figures.json"), "{error}");
        assert!(Report::new(None, Some(missing)).err().unwrap().starts_with("--html"));
    }

    #[test]
    fn both_files_hold_what_was_measured_and_the_report_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let (json, html) = (dir.path().join("figures.json"), dir.path().join("figures.html"));
        let mut report = Report::new(Some(&json), Some(&html)).unwrap();
        report.prints = false;
        let measured = series("spin", vec![second([3, 5], None)]);
        report.add(Group { title: "a title".to_owned(), series: vec![measured], ..Group::default() });
        report.write(&machine::describe(&[0, 1])).unwrap();
        let run = parse(&std::fs::read_to_string(json).unwrap()).unwrap();
        assert_eq!((run.kind, run.groups[0].series[0].records), (Kind::Latency, 2));
        assert!(std::fs::read_to_string(html).unwrap().contains("a title"));
    }
}
