//! What several contests come to together.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::arguments::System;

/// How many times as fast as another system ours is, in one contest.
#[derive(Clone, Debug, PartialEq)]
pub struct Ratio {
    pub system: System,
    pub contest: String,
    pub ours_is: f64,
}

/// The systems, each with its ratios, in the order in which they come.
fn by_system(ratios: &[Ratio]) -> Vec<(System, Vec<&Ratio>)> {
    let mut systems: Vec<(System, Vec<&Ratio>)> = Vec::new();
    for ratio in ratios {
        match systems.iter_mut().find(|(system, _)| *system == ratio.system) {
            Some((_, of_system)) => of_system.push(ratio),
            None => systems.push((ratio.system, vec![ratio])),
        }
    }
    systems.iter_mut().for_each(|(_, of_system)| of_system.sort_by(|a, b| a.ours_is.total_cmp(&b.ours_is)));
    systems
}

fn geometric_mean(ratios: &[&Ratio]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ours_is.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

/// A line for each other system that was in several contests.
pub fn lines(ratios: &[Ratio]) -> String {
    let mut text = String::new();
    for (system, of_system) in by_system(ratios) {
        if let [least, .., greatest] = of_system.as_slice() {
            let _ = writeln!(
                text,
                "\nours beside {}: {:.1}x by the geometric mean of {} contests, least {:.1}x ({}), greatest {:.1}x ({})",
                system.name(),
                geometric_mean(&of_system),
                of_system.len(),
                least.ours_is,
                least.contest,
                greatest.ours_is,
                greatest.contest,
            );
        }
    }
    text
}

/// The same for programs.
pub fn to_json(ratios: &[Ratio]) -> Value {
    let systems = by_system(ratios).into_iter().map(|(system, of_system)| {
        let each =
            of_system.iter().map(|ratio| json!({ "contest": ratio.contest, "ours_is": ratio.ours_is }));
        let mean = geometric_mean(&of_system);
        json!({ "system": system.name(), "geometric_mean": mean, "contests": each.collect::<Vec<_>>() })
    });
    systems.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_geometric_and_extremes_are_named() {
        let ratio = |system, contest: &str, ours_is| Ratio { system, contest: contest.into(), ours_is };
        let ratios = [
            ratio(System::Flink, "q0", 8.0),
            ratio(System::Timely, "keyed", 2.0),
            ratio(System::Flink, "q1", 2.0),
        ];
        let expected = "\nours beside flink: 4.0x by the geometric mean of 2 contests, least 2.0x (q1), greatest 8.0x (q0)\n";
        assert_eq!(lines(&ratios), expected);
        let json = to_json(&ratios);
        assert!((json[0]["geometric_mean"].as_f64().unwrap() - 4.0).abs() < 1e-9);
        assert_eq!(
            (&json[1]["system"], &json[1]["contests"][0]["contest"]),
            (&json!("timely"), &json!("keyed"))
        );
        assert_eq!(lines(&[]), "");
    }
}
