//! Reads what benchmarks have written. What cannot be read is told, and never passed over.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::foreign;
use super::model::{Kind, Run, State, VERSION};

/// A run, and the file that it lies in.
#[derive(Debug)]
pub struct Source {
    pub file: String,
    pub run: Run,
}

/// All runs of a directory, by kind and by name.
///
/// # Errors
/// The directory cannot be read or holds no such file; or some of them make no sense: a line for each of those.
pub fn read_all(dir: &Path) -> Result<Vec<Source>, Vec<String>> {
    let unreadable = |error| vec![format!("cannot read the directory {}: {error}", dir.display())];
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "json") && !path.is_dir() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(vec![format!(
            "{} holds no .json file; have benchmarks write there with --json",
            dir.display()
        )]);
    }
    files.sort();
    let mut sources = Vec::new();
    let mut wrong = Vec::new();
    for path in files {
        match read(&path) {
            Ok(run) => {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                sources.push(Source { file, run });
            }
            Err(what) => wrong.push(format!("{}: {what}", path.display())),
        }
    }
    sources.sort_by_key(|source| source.run.kind);
    if wrong.is_empty() { Ok(sources) } else { Err(wrong) }
}

fn read(path: &Path) -> Result<Run, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    parse(&text)
}

/// Reads a run. The kind and version are looked at first, so that a file of something else is told as that.
pub fn parse(text: &str) -> Result<Run, String> {
    let all: Value = serde_json::from_str(text).map_err(|error| format!("is no JSON: {error}"))?;
    if all.get("kind").is_none()
        && let Some(foreign) = foreign::parse(&all, text)
    {
        return foreign.and_then(checked);
    }
    let kinds = || Kind::ALL.map(|(name, _)| name).join(", ");
    match all.get("kind").and_then(Value::as_str) {
        None => return Err(format!("says no kind; files of this report have one of {}", kinds())),
        Some(kind) if Kind::ALL.iter().all(|(name, _)| *name != kind) => {
            return Err(format!("is of kind {kind}, which is unknown; there are {}", kinds()));
        }
        Some(_) => {}
    }
    match all.get("version").and_then(Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(format!("is of version {version}, this program reads {VERSION}")),
        None => return Err("says no version".to_owned()),
    }
    // Once more from the text: errors say where.
    let run: Run = serde_json::from_str(text).map_err(|error| format!("is malformed: {error}"))?;
    checked(run)
}

/// What a form alone does not say.
fn checked(run: Run) -> Result<Run, String> {
    for row in &run.rows {
        let name = || format!("the row of {} in {} on {} shards", row.work, row.who(), row.shards);
        match (row.state, row.events_per_second) {
            (State::Absent | State::Failed, Some(_)) => {
                return Err(format!("{} is absent or failed, and has a figure", name()));
            }
            (State::Ok, None) => return Err(format!("{} has no events_per_second", name())),
            (_, Some(rate)) if rate <= 0.0 => {
                return Err(format!("{} is at {rate} events per second", name()));
            }
            _ => {}
        }
        if row.state != State::Ok && row.because.is_none() {
            return Err(format!("{} does not say why it is {:?}", name(), row.state).to_lowercase());
        }
        if row.shards == 0 {
            return Err(format!("{}: there is no job without a shard", name()));
        }
    }
    if run.rows.is_empty() && run.groups.is_empty() && run.memory.is_empty() && run.scaling.is_empty() {
        return Err("holds no figures: its benchmark ended before it had any".to_owned());
    }
    Ok(run)
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::super::model::Row;
    use super::*;

    /// A run with these rows.
    pub fn run(kind: &str, more: Value) -> Value {
        let mut run = json!({
            "kind": kind, "version": VERSION, "command": format!("millstream-bench {kind}"),
            "machine": { "cpu": "a processor", "cores": [0, 1], "kernel": "6.1", "memory_bytes": 1 << 30, "commit": "abc" },
        });
        let more = more.as_object().cloned().unwrap_or_default();
        more.into_iter().for_each(|(key, value)| run[key] = value);
        run
    }

    fn row() -> Value {
        json!({ "work": "q1", "system": "millstream", "shards": 1, "state": "ok", "events_per_second": 5.0e6 })
    }

    fn refused(run: &Value) -> String {
        parse(&run.to_string()).unwrap_err()
    }

    fn with_row(changes: Value) -> Value {
        let mut row = row();
        let changes = changes.as_object().cloned().unwrap_or_default();
        changes.into_iter().for_each(|(key, value)| row[key] = value);
        run("nexmark", json!({ "rows": [row] }))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let read =
            parse(&with_row(json!({ "cores_used": 0.5, "spread": [4.0e6, 6.0e6] })).to_string()).unwrap();
        assert_eq!(read.rows[0].per_core(), Some(1.0e7));
        assert_eq!(read.machine.commit.as_deref(), Some("abc"));
        assert_eq!(parse(&serde_json::to_string(&read).unwrap()).unwrap(), read);
        assert_eq!(Row { shards: 4, events_per_second: Some(8.0), ..Row::default() }.per_core(), Some(2.0));
    }

    #[test]
    fn what_is_unknown_or_malformed_is_told() {
        assert!(parse("{").unwrap_err().contains("is no JSON"));
        assert!(
            refused(&json!({ "measures": [] }))
                .contains("says no kind; files of this report have one of nexmark")
        );
        assert!(
            refused(&run("micro", json!({})))
                .contains("is of kind micro, which is unknown; there are nexmark")
        );
        assert!(
            refused(&run("nexmark", json!({ "version": 2 })))
                .contains("is of version 2, this program reads 1")
        );
        assert!(refused(&run("nexmark", json!({ "version": "1" }))).contains("says no version"));
        assert!(refused(&run("nexmark", json!({}))).contains("holds no figures"));
        assert!(refused(&run("nexmark", json!({ "lines": [] }))).contains("unknown field `lines`"));
        assert!(refused(&with_row(json!({ "shards": "one" }))).contains("invalid type"));
        assert!(refused(&with_row(json!({ "shards": 0 }))).contains("no job without a shard"));
        assert!(
            refused(&with_row(json!({ "events_per_second": null }))).contains("has no events_per_second")
        );
        assert!(refused(&with_row(json!({ "events_per_second": 0.0 }))).contains("at 0 events per second"));
        assert!(
            refused(&with_row(json!({ "state": "absent" })))
                .contains("is absent or failed, and has a figure")
        );
        assert!(
            refused(&with_row(json!({ "state": "disturbed" }))).contains("does not say why it is disturbed")
        );
        assert!(refused(&with_row(json!({ "state": "fine" }))).contains("unknown variant `fine`"));
    }

    #[test]
    fn every_bad_file_of_a_directory_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_all(dir.path()).unwrap_err()[0].contains("holds no .json file"));
        assert!(read_all(&dir.path().join("none")).unwrap_err()[0].contains("cannot read the directory"));
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("b.json", &with_row(json!({})).to_string());
        write("a.json", &run("latency", json!({ "groups": [{ "title": "t" }] })).to_string());
        write("notes.txt", "not JSON");
        let files: Vec<String> =
            read_all(dir.path()).unwrap().into_iter().map(|source| source.file).collect();
        assert_eq!(files, ["b.json", "a.json"], "by kind, in the order of the page");
        write("c.json", "{");
        write("d.json", &run("micro", json!({})).to_string());
        let wrong = read_all(dir.path()).unwrap_err();
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].contains("c.json: is no JSON") && wrong[1].contains("d.json: is of kind micro"));
    }
}
