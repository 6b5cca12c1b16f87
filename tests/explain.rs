//! What every example says of its job, as text and as a drawing, is what `tests/golden/explain/` holds. With `UPDATE_GOLDEN=1` in the
//! environment the files are written anew: look at the difference before it is kept.

#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::process::Process;

/// Longer than it takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
fn is_golden(golden: &str, example: &str, arguments: &[&str]) {
    for (how, extension) in [("--explain", "txt"), ("--explain=svg", "svg")] {
        let mut command = support::command(example);
        command.args(arguments).arg(how);
        let ended = Process::start(command).wait(PATIENCE);
        assert!(ended.status.success(), "{}", ended.err());
        let said: String = ended.out().into_iter().map(|line| format!("{line}\n")).collect();
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden/explain")
            .join(format!("{golden}.{extension}"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &said).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(said, expected, "not what {} holds; UPDATE_GOLDEN=1 writes it anew", file.display());
    }
}

#[test]
fn ex_04_word_count() {
    is_golden("word_count", "word_count", &["--text", "book.txt", "--shards", "2"]);
}

#[test]
fn ex_04_batch_word_count() {
    is_golden("batch_word_count", "batch_word_count", &["book.txt", "--output", "counts", "--shards", "2"]);
}

#[test]
fn ex_04_click_count() {
    is_golden("click_count", "click_count", &["--output", "counts", "--state", "state"]);
}

#[test]
fn ex_04_fraud() {
    is_golden("fraud", "fraud", &["--shards", "2"]);
}

#[test]
fn ex_04_enrichment() {
    is_golden("enrichment", "enrichment", &["--shards", "2"]);
}

#[test]
fn ex_04_spend_report() {
    is_golden("spend_report", "spend_report", &["--shards", "2"]);
}

#[test]
fn ex_04_market_bars() {
    is_golden("market_bars", "market_bars", &["--shards", "2"]);
}

#[test]
fn ex_04_limits_service() {
    is_golden("limits_service", "limits_service", &["--state-dir", "state"]);
}

#[test]
fn ex_04_iterative() {
    is_golden("iterative", "iterative", &["--shards", "2"]);
}

#[test]
fn ex_04_sensor_alerts() {
    is_golden("sensor_alerts", "sensor_alerts", &["--shards", "2"]);
}

#[test]
fn ex_04_sessions() {
    is_golden("sessions", "sessions", &["--shards", "2"]);
}

#[test]
fn ex_04_top_pages() {
    is_golden("top_pages", "top_pages", &["--shards", "2"]);
}

#[test]
fn ex_04_taxi() {
    for exercise in ["filter", "join", "tips", "long-rides"] {
        is_golden(&format!("taxi_{exercise}"), "taxi", &[exercise, "--shards", "2"]);
    }
}
