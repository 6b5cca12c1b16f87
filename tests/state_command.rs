//! The command `millstream state`, as a user runs it.
#![cfg(feature = "command")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/savepoint-v1")
}

fn millstream(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_millstream")).arg("state").args(args).output().expect("it runs")
}

/// What it prints, sorted by lines.
fn printed(args: &[&str]) -> Vec<String> {
    let output = millstream(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<String> =
        String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in text")
}

#[test]
fn sv_11_savepoints_are_listed_read_mended_and_compared() {
    let (fixture, dir) = (fixture(), tempfile::tempdir().expect("a directory"));
    let fixture = text(&fixture);
    let list = printed(&["ls", fixture]).join("\n");
    assert!(list.contains("job `counts`"), "{list}");
    assert!(list.contains("operator `count`, state `value`: 3 entries by String: u64"), "{list}");
    assert_eq!(printed(&["get", fixture, "count", "value", "\"a\""]), [r#"{"key":"a","value":3}"#]);

    let lines = dir.path().join("counts.jsonl");
    printed(&["export", fixture, "count", "value", "--out", text(&lines)]);
    let more = std::fs::read_to_string(&lines).expect("lines") + "{\"key\": \"z\", \"value\": 9}\n";
    std::fs::write(&lines, more).expect("written");
    let into = text(dir.path());
    let made = printed(&["import", fixture, "count", "value", "--from", text(&lines), "--into", into]);
    assert_eq!(printed(&["diff", fixture, &made[0]]), [r#"+ count value "z": 9"#]);
}

#[cfg(feature = "parquet")]
#[test]
fn sv_11_the_ending_of_a_file_says_its_format_unless_it_is_told() {
    let (fixture, dir) = (fixture(), tempfile::tempdir().expect("a directory"));
    let (fixture, into) = (text(&fixture), text(dir.path()));
    let (by_ending, by_word) = (dir.path().join("counts.parquet"), dir.path().join("counts"));
    printed(&["export", fixture, "count", "value", "--out", text(&by_ending)]);
    printed(&["export", fixture, "count", "value", "--format", "parquet", "--out", text(&by_word)]);
    for file in [&by_ending, &by_word] {
        assert!(std::fs::read(file).expect("a file").starts_with(b"PAR1"), "{}", file.display());
    }
    let import = ["import", fixture, "count", "value", "--replace", "--into", into, "--from"];
    let made = printed(&[&import[..], &[text(&by_ending)]].concat());
    assert_eq!(printed(&["diff", fixture, &made[0]]), [""; 0]);

    let taken_for_json = millstream(&[&import[..], &[text(&by_word)]].concat());
    let said = String::from_utf8_lossy(&taken_for_json.stderr).into_owned();
    assert!(!taken_for_json.status.success() && said.contains("line 1"), "{said}");
    let nowhere = millstream(&["export", fixture, "count", "value", "--format", "parquet"]);
    let said = String::from_utf8_lossy(&nowhere.stderr).into_owned();
    assert!(!nowhere.status.success() && said.contains("--out"), "{said}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_parquet_says_how_to_get_it() {
    let (fixture, dir) = (fixture(), tempfile::tempdir().expect("a directory"));
    let file = dir.path().join("counts.parquet");
    let output = millstream(&["export", text(&fixture), "count", "value", "--out", text(&file)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("the features `command` and `parquet`"), "{said}");
    assert!(!file.exists());
}

#[test]
fn mistakes_are_said_in_a_line() {
    let output = millstream(&["ls", "nowhere"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("nowhere is not a savepoint"), "{said}");
    let fixture = fixture();
    let output = millstream(&["get", text(&fixture), "count", "value", "7"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("a String is wanted"), "{said}");
}
