//! A count against its figure.

use std::fmt;

use crate::figures::{Figure, Figures, Toolchain};
use crate::workloads::Workload;

/// What a count came to.
pub struct Verdict {
    workload: &'static str,
    unit: &'static str,
    counted: f64,
    figure: Option<Figure>,
}

/// Holds a count against the figure, if there is one.
pub fn judge(workload: &'static Workload, counted: f64, figures: &Figures, toolchain: &Toolchain) -> Verdict {
    let figure = figures.of(workload.name, toolchain);
    Verdict { workload: workload.name, unit: workload.unit, counted, figure }
}

/// The head of the table that verdicts make.
pub fn header() -> String {
    format!("{:<24} {:>10} {:>10} {:>8}  {}", "instructions of", "counted", "figure", "off by", "band; per")
}

impl Verdict {
    fn off_percent(&self) -> f64 {
        self.figure.map_or(f64::NAN, |figure| (self.counted / figure.instructions - 1.0) * 100.0)
    }

    /// What there is to say where it is not as it is to be.
    pub fn complaint(&self) -> Option<String> {
        let Verdict { workload, unit, counted, .. } = self;
        let Some(figure) = self.figure else {
            return Some(format!(
                "{workload}: no figure, counted {counted:.2}; take it with --only {workload} --update and commit the file"
            ));
        };
        let off = self.off_percent();
        let Figure { instructions, band_percent } = figure;
        let what = match off {
            off if off.abs() <= band_percent => return None,
            off if off > 0.0 => "slower: find out where with --keep DIR and callgrind_annotate",
            _ => "faster: good",
        };
        Some(format!(
            "{workload}: {counted:.2} instructions per {unit}, the figure is {instructions:.2}, {off:+.1} % off, its band {band_percent} %; {what}; \
             if it is meant to be so, take it over with --only {workload} --update and commit the file"
        ))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (figure, band) = self.figure.map_or((f64::NAN, f64::NAN), |f| (f.instructions, f.band_percent));
        write!(
            f,
            "{:<24} {:>10.2} {figure:>10.2} {:>+7.2}%  {band} %; {}{}",
            self.workload,
            self.counted,
            self.off_percent(),
            self.unit,
            if self.complaint().is_some() { "; OUTSIDE" } else { "" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::{figures, toolchain};
    use crate::workloads::WORKLOADS;

    fn complaint(counted: f64) -> Option<String> {
        judge(&WORKLOADS[0], counted, &figures(100.0, 2.0), &toolchain("rustc 1")).complaint()
    }

    #[test]
    fn what_is_outside_its_band_on_either_side_is_told_with_all_that_is_needed() {
        assert_eq!((complaint(98.01), complaint(101.99)), (None, None));
        let slower = complaint(102.1).unwrap();
        for part in [WORKLOADS[0].name, "102.10", "100.00", "+2.1 %", "band 2 %", "--update", "slower"] {
            assert!(slower.contains(part), "{slower}");
        }
        assert!(complaint(97.0).unwrap().contains("faster"));
    }

    #[test]
    fn what_has_no_figure_is_not_passed_over() {
        let verdict = judge(&WORKLOADS[1], 7.0, &figures(100.0, 2.0), &toolchain("rustc 1"));
        assert!(verdict.complaint().unwrap().contains("no figure"));
        assert!(verdict.to_string().contains("OUTSIDE"));
    }
}
