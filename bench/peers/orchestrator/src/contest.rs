//! Rows that are run by turns, several rounds.

use millstream_yardstick::works::Results;
use serde_json::Value;

use crate::arguments::{Arguments, System};
use crate::build::Builds;
use crate::figures::Figures;
use crate::row::Row;
use crate::run;

/// One thing that systems are compared in.
pub struct Contest {
    pub title: String,
    pub rows: Vec<Row>,
    /// What Java starts.
    pub class: &'static str,
    /// What a row is to come to, where that is known.
    pub expected: Vec<Option<Results>>,
    /// Whether Millstream's program writes what it measured to a file, of several queries, and not in its last line.
    pub in_file: bool,
}

/// What became of a row.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Runs that went well, in order; those that were disturbed are among them.
    pub runs: Vec<Figures>,
    /// The first thing that went wrong: the row has no figures then.
    pub failed: Option<String>,
    /// Another collector was better in the first round.
    pub retired: bool,
}

impl Outcome {
    /// The runs that count.
    pub fn calm(&self) -> impl Iterator<Item = &Figures> + Clone {
        self.runs.iter().filter(|run| run.disturbed.is_none())
    }

    /// How many were disturbed.
    pub fn disturbed(&self) -> usize {
        self.runs.len() - self.calm().count()
    }
}

impl Contest {
    /// Runs all rows by turns: in every round another one goes first.
    pub fn run(&self, builds: &Builds, arguments: &Arguments) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::default(); self.rows.len()];
        for round in 0..usize::from(arguments.rounds) {
            for turn in 0..self.rows.len() {
                let at = (round + turn) % self.rows.len();
                let (row, outcome) = (&self.rows[at], &mut outcomes[at]);
                let Some(Ok(program)) = builds.get(&row.system) else { continue };
                if outcome.failed.is_some() || outcome.retired {
                    continue;
                }
                eprintln!("{}, round {}: {}", self.title, round + 1, row.label());
                let command = run::command(program, self.class, row, arguments);
                let line = match self.in_file && row.system == System::Millstream {
                    true => run::query_in_file(command, arguments.timeout()),
                    false => run::last_line(command, arguments.timeout()),
                };
                match line.and_then(|line| self.checked(at, line)) {
                    Ok(figures) => outcome.runs.push(figures),
                    Err(error) => outcome.failed = Some(error),
                }
            }
            if round == 0 {
                self.retire(&mut outcomes);
            }
        }
        outcomes
    }

    /// The figures, if the results are right.
    fn checked(&self, at: usize, line: Value) -> Result<Figures, String> {
        if let Some(expected) = self.expected[at] {
            let (results, sum) = (line["results"].as_u64(), line["checksum"].as_str());
            if results != Some(expected.count) || sum != Some(&format!("{:016x}", expected.sum)) {
                return Err(format!(
                    "wrong results: {} with the checksum {}, where {} with {:016x} were to come out",
                    line["results"], line["checksum"], expected.count, expected.sum
                ));
            }
        }
        Figures::of(line)
    }

    /// Of rows that differ in their collector only, the best of the first round goes on.
    fn retire(&self, outcomes: &mut [Outcome]) {
        let rate = |outcome: &Outcome| outcome.runs.first().map_or(0.0, |run| run.rate);
        for at in 0..self.rows.len() {
            outcomes[at].retired = (0..self.rows.len()).any(|other| {
                let better = (rate(&outcomes[other]), at) > (rate(&outcomes[at]), other);
                other != at && self.rows[at].is_same_choice(&self.rows[other]) && better
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::row::Collector;

    fn row(collector: Option<Collector>) -> Row {
        let (system, arguments) = (System::Flink, Vec::new());
        Row { system, shards: 1, exchange: None, checkpoint_ms: None, collector, arguments }
    }

    fn line(rate: f64) -> Value {
        let quarters = [rate; 4];
        json!({ "events_per_second": rate, "cores_used": 1.0, "peak_memory_bytes": 1, "quarters": quarters,
            "results": 2, "checksum": "00000000000000ff" })
    }

    fn contest(expected: Option<Results>) -> Contest {
        let rows = vec![row(Some(Collector::G1)), row(Some(Collector::Parallel)), row(None)];
        Contest { title: "t".into(), rows, class: "", expected: vec![expected; 3], in_file: false }
    }

    #[test]
    fn wrong_results_are_no_figures() {
        let contest = contest(Some(Results { count: 2, sum: 255 }));
        assert_eq!(contest.checked(0, line(1.0)).unwrap().rate, 1.0);
        let wrong = Contest { expected: vec![Some(Results { count: 2, sum: 254 }); 3], ..contest };
        assert!(wrong.checked(0, line(1.0)).unwrap_err().contains("wrong results"));
    }

    #[test]
    fn the_better_collector_goes_on() {
        for rates in [[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]] {
            let mut outcomes = vec![Outcome::default(); 3];
            for (outcome, rate) in outcomes.iter_mut().zip(rates) {
                outcome.runs.push(Figures::of(line(rate)).unwrap());
            }
            contest(None).retire(&mut outcomes);
            let retired: Vec<bool> = outcomes.iter().map(|outcome| outcome.retired).collect();
            assert!(!retired[2]);
            assert!(retired[0] != retired[1] && retired[0] == (rates[0] < rates[1]));
        }
    }
}
