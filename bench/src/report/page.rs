//! The page: what was measured on what, then throughput, scaling, latency and memory, as far as there is any.

use std::fmt::Write as _;

use super::model::{Run, State};
use super::read::Source;
use super::{html, latencies, memory, rates, shards};

/// The whole page.
pub fn page(title: &str, sources: &[Source]) -> String {
    let mut page = html::head(title);
    page.push_str("<h2>What was measured, and on what</h2>\n");
    for warning in mixed(sources) {
        let _ = writeln!(page, "<p class=\"disturbed\">{}</p>", html::escaped(&warning));
    }
    for source in sources {
        page.push_str(&source.about());
        for note in &source.run.notes {
            let _ = writeln!(page, "<p class=\"note\">{}</p>", html::escaped(note));
        }
    }
    rates::add(&mut page, sources);
    shards::add(&mut page, sources);
    if sources.iter().any(|source| !source.run.groups.is_empty()) {
        page.push_str(
            "<h2>Latency</h2>\n<p class=\"note\">Latencies count from the time at which a record was due. Seconds in which other programs or the \
             hypervisor had the cores are left out of the tables and of the plots by percentile and by length, and are hollow over time.</p>\n",
        );
    }
    let groups = sources.iter().flat_map(|source| &source.run.groups);
    groups.for_each(|group| latencies::add(&mut page, group));
    memory::add(&mut page, sources);
    page.push_str(html::FOOT);
    page
}

/// What stands side by side and should not.
fn mixed(sources: &[Source]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |what: &str, of: fn(&Run) -> Option<&str>| {
        let mut seen: Vec<&str> =
            sources.iter().map(|source| of(&source.run).unwrap_or("not known")).collect();
        seen.sort_unstable();
        seen.dedup();
        if seen.len() > 1 {
            warnings.push(format!("Not all of this is of one {what}: {}.", seen.join("; ")));
        }
    };
    warn("processor", |run| Some(&run.machine.cpu));
    warn("kernel", |run| Some(&run.machine.kernel));
    warn("commit", |run| run.machine.commit.as_deref());
    warnings
}

/// What a run holds, in a few words.
pub fn summary(run: &Run) -> String {
    let count = |state| run.rows.iter().filter(|row| row.state == state).count();
    let parts = [
        (count(State::Ok), "rows of throughput"),
        (count(State::Disturbed), "disturbed"),
        (count(State::Absent), "absent"),
        (count(State::Failed), "failed"),
        (run.groups.len(), "groups of latencies"),
        (run.memory.len(), "series of memory"),
        (run.scaling.len(), "models of scaling"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    format!("{}, {}", run.kind.name(), said.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::latencies::tests::series;
    use super::super::model::Group;
    use super::super::plot::tests::assert_well_formed;
    use super::super::read::parse;
    use super::super::read::tests::run;
    use super::*;

    fn source(kind: &str, more: serde_json::Value) -> Source {
        Source { file: format!("{kind}.json"), run: parse(&run(kind, more).to_string()).unwrap() }
    }

    #[test]
    fn a_page_of_everything_is_well_formed_and_leaves_nothing_out() {
        let row = |system: &str, shards: u16, state: &str| {
            let mut row = json!({ "work": "q1", "system": system, "shards": shards, "state": state });
            if state != "absent" {
                row["events_per_second"] = json!(1e6 * f64::from(shards));
            }
            if state != "ok" {
                row["because"] = json!(format!("<{state}>"));
            }
            row
        };
        let rows = [row("millstream", 1, "ok"), row("millstream", 2, "disturbed"), row("flink", 1, "absent")];
        let scaling = json!([{
            "work": "q1",
            "parts": [{ "name": "ring", "nanos": 3.5, "how": "two shards" }],
            "points": [
                { "shards": 2, "events_per_second": 2e6, "limit": "processor", "ring_memory_bytes": 2, "ceilings": { "processor": 2e6 } },
                { "shards": 64, "events_per_second": 3e7, "limit": "memory bandwidth", "ring_memory_bytes": 4032, "ceilings": { "memory bandwidth": 3e7 } },
            ],
            "checks": [{ "shards": 2, "predicted": 2e6, "measured": 1.9e6, "disturbed": false }],
        }]);
        let memory = json!([{ "label": "q1", "resident": [[0.0, 1 << 20], [1.0, 5 << 20]] }]);
        let mut latency = source("latency", json!({ "groups": [{ "title": "chain" }] }));
        latency.run.groups[0] = Group { series: vec![series("spin")], ..latency.run.groups[0].clone() };
        let sources = [
            source(
                "nexmark",
                json!({ "rows": rows, "notes": ["a <note>"], "memory": memory, "driver": "glommio" }),
            ),
            latency,
            source("scaling", json!({ "scaling": scaling })),
        ];
        let page = page("Everything", &sources);
        assert_well_formed(&page);
        for words in [
            "Throughput per core",
            "&lt;absent&gt;",
            "&lt;disturbed&gt;",
            "Scaling",
            "memory bandwidth",
            "+5.3 %",
            "Latency by percentile",
            "Resident memory",
            "driver glommio",
            "a &lt;note&gt;",
            "nexmark.json",
            "scaling.json",
            "commit abc",
        ] {
            assert!(page.contains(words), "{words} is left out");
        }
        assert_eq!(
            summary(&sources[0].run),
            "nexmark, 1 rows of throughput, 1 disturbed, 1 absent, 1 series of memory"
        );
    }

    #[test]
    fn figures_of_two_commits_are_told_apart() {
        let memory = json!({ "memory": [{ "label": "m", "resident": [] }] });
        let (one, mut other) = (source("works", memory.clone()), source("works", memory));
        assert_eq!(mixed(&[Source { file: "a".to_owned(), run: one.run.clone() }]), Vec::<String>::new());
        other.run.machine.commit = Some("def".to_owned());
        assert_eq!(mixed(&[one, other]), ["Not all of this is of one commit: abc; def."]);
    }
}
