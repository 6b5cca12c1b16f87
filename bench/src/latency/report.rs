//! What a run has to tell: as it goes, as a file for programs, as a page.

use std::error::Error;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::figures::Group;
use super::page;

/// The groups so far, and where they go in the end.
pub struct Report {
    groups: Vec<Group>,
    prints: bool,
    json: Option<PathBuf>,
    html: Option<PathBuf>,
}

impl Report {
    /// A report into these files, which are opened now: nobody waits for a measurement that cannot be written.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn new(json: Option<&Path>, html: Option<&Path>) -> Result<Report, String> {
        for (flag, path) in [("--json", json), ("--html", html)] {
            let Some(path) = path else { continue };
            let opened = OpenOptions::new().create(true).append(true).open(path);
            opened.map_err(|error| {
                format!(
                    "{flag} {}: cannot be written: {error}; name a file in a directory that is there",
                    path.display()
                )
            })?;
        }
        let owned = |path: Option<&Path>| path.map(Path::to_owned);
        Ok(Report { groups: Vec::new(), prints: true, json: owned(json), html: owned(html) })
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
        if let Some(path) = &self.json {
            let groups: Vec<Value> = self.groups.iter().map(Group::to_json).collect();
            let all = json!({ "machine": machine, "groups": groups });
            write(path, &format!("{all:#}\n"))?;
        }
        if let Some(path) = &self.html {
            write(path, &page::page(machine, &self.groups))?;
        }
        Ok(())
    }
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{second, series};
    use super::*;

    #[test]
    fn files_that_cannot_be_written_are_told_before_anything_is_measured() {
        let missing = Path::new("/no/such/directory/figures.json");
        let error = Report::new(Some(missing), None).err().unwrap();
        assert!(error.starts_with("--json /no/such/directory/figures.json"), "{error}");
        assert!(Report::new(None, Some(missing)).err().unwrap().starts_with("--html"));
    }

    #[test]
    fn both_files_hold_what_was_measured() {
        let dir = tempfile::tempdir().unwrap();
        let (json, html) = (dir.path().join("figures.json"), dir.path().join("figures.html"));
        let mut report = Report::new(Some(&json), Some(&html)).unwrap();
        report.prints = false;
        let measured = series("spin", vec![second([3, 5], None)]);
        report.add(Group { title: "a title".to_owned(), series: vec![measured], ..Group::default() });
        report.write(&json!({ "cpu": "of a test" })).unwrap();
        let figures: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
        assert_eq!(figures["groups"][0]["series"][0]["records"], 2);
        assert_eq!(figures["machine"]["cpu"], "of a test");
        assert!(std::fs::read_to_string(html).unwrap().contains("a title"));
    }
}
