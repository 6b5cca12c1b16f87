//! The lines that a run prints.

use serde_json::Value;

use super::query::Query;

/// Others that had more than this of the cores' time disturbed a run.
const OTHERS_MAX: f64 = 0.05;
/// So did a hypervisor that took more than this of it.
const STOLEN_MAX: f64 = 0.02;

/// What a query is called in the first column.
pub fn name(query: &Query) -> String {
    match query.number {
        u8::MAX => query.name.to_owned(),
        number => format!("q{number}"),
    }
}

/// The head of the table.
pub fn header() -> String {
    format!(
        "{:<7} {:>10} {:>12} {:>12} {:>6} {:>10}  {}",
        "query", "rows", "M events/s", "per core", "cores", "memory MB", "checkpoints; latency"
    )
}

/// What a query cost.
pub fn line(query: &Query, ran: &Value) -> String {
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let of = |what: &str| number(&ran[what]);
    let checkpoints = match ran["checkpoints"]["completed"].as_u64() {
        None | Some(0) => "none".to_owned(),
        Some(completed) => format!(
            "{completed} of {:.1} ms and {:.2} MB",
            number(&ran["checkpoints"]["median_ms"]),
            number(&ran["checkpoints"]["median_bytes"]) / 1e6
        ),
    };
    let latency = match &ran["latency_ns"] {
        Value::Null if query.goes_by_the_clock() => "none, as its rows come by the clock".to_owned(),
        Value::Null => "none, as no --rate was given".to_owned(),
        latency => {
            let us = |what: &str| number(&latency[what]) / 1e3;
            format!("p50 {:.0} us, p99 {:.0} us, max {:.0} us", us("p50"), us("p99"), us("max"))
        }
    };
    let mut line = format!(
        "{:<7} {:>10} {:>12.3} {:>12.3} {:>6.2} {:>10.1}  {checkpoints}; {latency}",
        name(query),
        of("rows"),
        of("events_per_second") / 1e6,
        of("events_per_second_and_core") / 1e6,
        of("cores_used"),
        of("peak_memory_bytes") / 1e6,
    );
    if of("late_records") > 0.0 {
        line += &format!("; {} records came too late", of("late_records"));
    }
    let (others, stolen) = (of("others_share"), of("stolen_share"));
    if others > OTHERS_MAX || stolen > STOLEN_MAX {
        line += &format!(
            "; DISTURBED: others had {:.0} % of the cores, the hypervisor took {:.0} %",
            others * 100.0,
            stolen * 100.0
        );
    }
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::nexmark::queries::ALL;

    fn ran() -> Value {
        json!({
            "rows": 7, "events_per_second": 2e6, "events_per_second_and_core": 1e6, "cores_used": 2.0,
            "peak_memory_bytes": 5_000_000, "late_records": 0, "others_share": 0.0, "stolen_share": 0.0,
            "checkpoints": { "completed": 3, "median_ms": 1.5, "median_bytes": 2e6 }, "latency_ns": null,
        })
    }

    #[test]
    fn a_line_has_what_the_head_says() {
        let line = line(&ALL[0], &ran());
        let words: Vec<&str> = line.split_whitespace().take(6).collect();
        assert_eq!(words, ["q0", "7", "2.000", "1.000", "2.00", "5.0"]);
        assert!(line.ends_with("3 of 1.5 ms and 2.00 MB; none, as no --rate was given"), "{line}");
    }

    #[test]
    fn a_run_that_was_disturbed_is_marked() {
        let mut ran = ran();
        ran["others_share"] = json!(0.3);
        assert!(line(&ALL[0], &ran).contains("DISTURBED: others had 30 %"));
    }
}
