//! What was measured: series of seconds, in groups that belong side by side.

use std::fmt::{self, Write as _};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::recorder::merged;
use crate::report::model;
use crate::stats::median;

/// The percentiles that are shown.
pub const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

/// The latencies that began in one second.
#[derive(Clone, Debug)]
pub struct Second {
    pub histogram: Histogram<u64>,
    /// What disturbed it, if anything did.
    pub disturbed: Option<String>,
}

impl Second {
    /// Seconds and what disturbed them.
    pub fn all(histograms: Vec<Histogram<u64>>, disturbed: Vec<Option<String>>) -> Vec<Second> {
        let disturbed = disturbed.into_iter().chain(std::iter::repeat(None));
        histograms
            .into_iter()
            .zip(disturbed)
            .map(|(histogram, disturbed)| Second { histogram, disturbed })
            .collect()
    }
}

/// The latencies of one thing under one setting.
#[derive(Clone, Debug, Default)]
pub struct Series {
    pub label: String,
    pub seconds: Vec<Second>,
    /// When checkpoints were completed, in seconds on the same axis.
    pub checkpoints: Vec<f64>,
    pub notes: Vec<String>,
}

impl Series {
    /// Appends what was measured in another turn.
    pub fn extend(&mut self, more: Series) {
        let shift = self.seconds.len() as f64;
        self.checkpoints.extend(more.checkpoints.into_iter().map(|at| at + shift));
        self.seconds.extend(more.seconds);
        self.notes.extend(more.notes);
    }

    pub fn disturbed(&self) -> usize {
        self.seconds.iter().filter(|second| second.disturbed.is_some()).count()
    }

    /// Whether there is no second that was not disturbed: then the figures are those of all, and say little.
    pub fn all_disturbed(&self) -> bool {
        !self.seconds.is_empty() && self.disturbed() == self.seconds.len()
    }

    /// The seconds that figures are made of.
    pub fn counted(&self) -> impl Iterator<Item = &Second> {
        let all = self.all_disturbed();
        self.seconds.iter().filter(move |second| all || second.disturbed.is_none())
    }

    /// All latencies of the seconds that count.
    pub fn total(&self) -> Histogram<u64> {
        merged(self.counted().map(|second| &second.histogram))
    }

    /// In microseconds; not a number where nothing was measured.
    pub fn micros(&self, quantile: f64) -> f64 {
        micros_of(&self.total(), quantile)
    }

    /// The median over the seconds of a percentile, in microseconds.
    pub fn median_of_seconds(&self, quantile: f64) -> f64 {
        median(self.counted().map(|second| micros_of(&second.histogram, quantile)))
    }

    /// The median over slices of so many seconds of a percentile, in microseconds. A slice with a disturbed second in it is left out, unless
    /// all are.
    pub fn median_of_slices(&self, seconds: usize, quantile: f64) -> f64 {
        let slices: Vec<&[Second]> =
            self.seconds.chunks_exact(seconds.min(self.seconds.len()).max(1)).collect();
        let is_quiet = |slice: &&&[Second]| slice.iter().all(|second| second.disturbed.is_none());
        let quiet = slices.iter().filter(is_quiet).count();
        let counted = slices.iter().filter(|slice| quiet == 0 || is_quiet(slice));
        median(
            counted.map(|slice| micros_of(&merged(slice.iter().map(|second| &second.histogram)), quantile)),
        )
    }

    fn row(&self) -> String {
        let total = self.total();
        let mut row = format!("  {:<36}", self.label);
        for (_, quantile) in PERCENTILES {
            let _ = write!(row, " {:>9.1}", micros_of(&total, quantile));
        }
        let disturbed = match (self.disturbed(), self.all_disturbed()) {
            (0, _) => String::new(),
            (_, true) => "  DISTURBED throughout: says little".to_owned(),
            (some, false) => format!("  {some} of {} s disturbed and left out", self.seconds.len()),
        };
        let (most, typical) = (micros_of(&total, 1.0), self.median_of_seconds(0.99));
        let _ = write!(row, " {most:>9.1} {typical:>9.1} {:>10}{disturbed}", total.len());
        for note in &self.notes {
            let _ = write!(row, "\n      {note}");
        }
        row
    }

    /// As it is written and shown.
    pub fn to_model(&self) -> model::Series {
        let total = self.total();
        let percentiles = PERCENTILES
            .iter()
            .map(|(name, quantile)| (name.to_string(), json!(micros_of(&total, *quantile))));
        let seconds = self.seconds.iter().map(|second| model::Second {
            p50_us: known(micros_of(&second.histogram, 0.5)),
            p99_us: known(micros_of(&second.histogram, 0.99)),
            max_us: known(micros_of(&second.histogram, 1.0)),
            records: second.histogram.len(),
            disturbed: second.disturbed.clone(),
        });
        let steps = total.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()));
        model::Series {
            label: self.label.clone(),
            percentiles_us: percentiles.collect(),
            max_us: known(micros_of(&total, 1.0)),
            median_of_seconds_p99_us: known(self.median_of_seconds(0.99)),
            records: total.len(),
            all_disturbed: self.all_disturbed(),
            seconds: seconds.collect(),
            checkpoints_at_s: self.checkpoints.clone(),
            notes: self.notes.clone(),
            histogram_ns: steps.collect(),
        }
    }
}

fn known(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

/// Of a histogram of nanoseconds.
pub fn micros_of(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    match histogram.len() {
        0 => f64::NAN,
        _ => histogram.value_at_quantile(quantile) as f64 / 1e3,
    }
}

/// Whether something is as it is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    /// It is to be less than this.
    pub below: f64,
    /// Whether what it follows from was disturbed throughout.
    pub disturbed: bool,
}

impl Verdict {
    pub fn met(&self) -> bool {
        self.value < self.below
    }

    fn to_model(&self) -> model::Verdict {
        model::Verdict {
            text: self.to_string(),
            value: known(self.value),
            unit: self.unit.to_owned(),
            below: self.below,
            met: self.met(),
            disturbed: self.disturbed,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { what, value, unit, below, .. } = self;
        let met = if self.met() { "met" } else { "MISSED" };
        let disturbed = if self.disturbed { "; DISTURBED throughout" } else { "" };
        write!(f, "{what}: {value:.2} {unit}, wanted below {below:.2} {unit}: {met}{disturbed}")
    }
}

/// Series that belong side by side: one scenario at one rate.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub title: String,
    pub notes: Vec<String>,
    pub series: Vec<Series>,
    pub verdicts: Vec<Verdict>,
    /// What is not a latency.
    pub raw: Value,
}

impl Group {
    /// The series of this label.
    pub fn find(&self, label: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.label == label)
    }

    /// As it is written and shown.
    pub fn to_model(&self) -> model::Group {
        model::Group {
            title: self.title.clone(),
            notes: self.notes.clone(),
            series: self.series.iter().map(Series::to_model).collect(),
            verdicts: self.verdicts.iter().map(Verdict::to_model).collect(),
            raw: self.raw.clone(),
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.title)?;
        self.notes.iter().try_for_each(|note| write!(f, "\n  {note}"))?;
        if !self.series.is_empty() {
            write!(f, "\n  {:<36}", "microseconds")?;
            PERCENTILES.iter().try_for_each(|(name, _)| write!(f, " {name:>9}"))?;
            write!(f, " {:>9} {:>9} {:>10}", "max", "p99 of 1s", "records")?;
        }
        self.series.iter().try_for_each(|series| write!(f, "\n{}", series.row()))?;
        self.verdicts.iter().try_for_each(|verdict| write!(f, "\n  {verdict}"))
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::recorder::histogram;
    use super::*;

    /// A second with these latencies, in microseconds.
    pub fn second(micros: impl IntoIterator<Item = u64>, disturbed: Option<&str>) -> Second {
        let mut histogram = histogram();
        micros.into_iter().for_each(|micros| histogram.record(micros * 1000).unwrap());
        Second { histogram, disturbed: disturbed.map(str::to_owned) }
    }

    /// A series of these.
    pub fn series(label: &str, seconds: Vec<Second>) -> Series {
        Series { label: label.to_owned(), seconds, ..Series::default() }
    }

    fn is_about(value: f64, wanted: f64) -> bool {
        (value - wanted).abs() <= wanted / 50.0
    }

    #[test]
    fn disturbed_seconds_are_not_averaged_in() {
        let seconds =
            vec![second(1..=100, None), second([9000; 500], Some("a compiler")), second(1..=100, None)];
        let series = series("s", seconds);
        assert!(is_about(series.micros(1.0), 100.0), "{}", series.micros(1.0));
        assert!(is_about(series.median_of_seconds(0.5), 50.0));
        assert!(series.row().contains("1 of 3 s disturbed and left out"), "{}", series.row());
        let written = series.to_model();
        assert_eq!(written.seconds[1].disturbed.as_deref(), Some("a compiler"));
        assert_eq!((written.records, written.disturbed()), (200, 1));
    }

    #[test]
    fn where_all_was_disturbed_the_row_says_so() {
        let series = series("s", vec![second([5], Some("x")), second([7], Some("y"))]);
        assert_eq!(series.total().len(), 2);
        assert!(series.row().contains("DISTURBED throughout"));
        assert!(series.to_model().all_disturbed);
    }

    #[test]
    fn slices_with_a_disturbed_second_are_left_out() {
        let quiet = |most| second([1, most], None);
        let seconds = vec![quiet(10), quiet(20), quiet(30), second([900], Some("x")), quiet(40), quiet(50)];
        assert!(is_about(series("s", seconds).median_of_slices(2, 1.0), 35.0), "slices 20 and 50");
        let short = series("s", vec![quiet(10)]);
        assert!(is_about(short.median_of_slices(10, 1.0), 10.0), "less than a slice is one");
        assert!(series("s", Vec::new()).median_of_slices(10, 1.0).is_nan());
    }

    #[test]
    fn turns_go_on_where_the_one_before_ended() {
        let mut first = series("s", vec![second([1], None), second([2], None)]);
        let second = Series { checkpoints: vec![0.5], ..series("s", vec![second([3], None)]) };
        first.extend(second);
        assert_eq!((first.seconds.len(), first.checkpoints), (3, vec![2.5]));
    }

    #[test]
    fn a_verdict_on_nothing_is_not_met() {
        let verdict =
            |value| Verdict { what: "w".to_owned(), value, unit: "us", below: 5.0, disturbed: false };
        assert!(verdict(4.9).met());
        assert!(!verdict(5.0).met());
        assert!(!verdict(f64::NAN).met());
    }
}
