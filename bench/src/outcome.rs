//! What a measure gives, and how it is shown.

use std::fmt;

use serde_json::{Value, json};

/// One figure beside its reference.
pub struct Outcome {
    pub name: &'static str,
    pub unit: &'static str,
    /// The median over the rounds, unless `how` says otherwise.
    pub value: f64,
    pub reference: f64,
    /// What the reference is, in words.
    pub reference_is: &'static str,
    /// The least and the greatest of the values that the shown one is the median of.
    pub spread: (f64, f64),
    /// The same of the rounds' ratios, where rounds have one.
    pub ratio_spread: Option<(f64, f64)>,
    pub target: Target,
    /// Which thread ran where, and anything else that belongs to the figure.
    pub notes: Vec<String>,
    /// What disturbed the measurement, where something did.
    pub disturbed: Vec<String>,
    /// Every single value.
    pub raw: Value,
}

/// What the figure is to be.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    RatioAtLeast(f64),
    ValueAtMost(f64),
    /// Nothing was promised.
    None,
}

impl Outcome {
    pub fn ratio(&self) -> f64 {
        self.value / self.reference
    }

    fn met(&self) -> bool {
        match self.target {
            Target::RatioAtLeast(least) => self.ratio() >= least,
            Target::ValueAtMost(most) => self.value <= most,
            Target::None => true,
        }
    }

    /// For programs.
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "reference": self.reference,
            "reference_is": self.reference_is,
            "ratio": self.ratio(),
            "spread": self.spread,
            "ratio_spread": self.ratio_spread,
            "target": self.target.to_string(),
            "met": self.met(),
            "notes": self.notes,
            "disturbed": self.disturbed,
            "raw": self.raw,
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::RatioAtLeast(least) => write!(f, "ratio >= {least}"),
            Target::ValueAtMost(most) => write!(f, "value <= {most}"),
            Target::None => f.write_str("none"),
        }
    }
}

/// The head of the table that outcomes make.
pub fn header() -> String {
    format!(
        "{:<26} {:>11} {:<11} {:>11} {:>8}  {}",
        "measure", "value", "unit", "reference", "ratio", "spread; target"
    )
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, greatest) = self.spread;
        let ratios = match self.ratio_spread {
            Some((least, greatest)) => format!("ratios {least:.3} to {greatest:.3}, "),
            None => String::new(),
        };
        write!(
            f,
            "{:<26} {:>11.3} {:<11} {:>11.3} {:>8.3}  {ratios}values {least:.3} to {greatest:.3}; {}: {}{}",
            self.name,
            self.value,
            self.unit,
            self.reference,
            self.ratio(),
            self.target,
            match (self.target, self.met()) {
                (Target::None, _) => "measured",
                (_, true) => "met",
                (_, false) => "MISSED",
            },
            if self.disturbed.is_empty() { "" } else { "; DISTURBED" },
        )?;
        write!(f, "\n    reference: {}", self.reference_is)?;
        let disturbed = self.disturbed.iter().map(|what| format!("disturbed: {what}"));
        for note in self.notes.iter().cloned().chain(disturbed) {
            write!(f, "\n    {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(value: f64, target: Target) -> Outcome {
        Outcome {
            name: "m",
            unit: "us",
            value,
            reference: 10.0,
            reference_is: "something else",
            spread: (value, value),
            ratio_spread: None,
            target,
            notes: Vec::new(),
            disturbed: Vec::new(),
            raw: Value::Null,
        }
    }

    #[test]
    fn targets_are_met_at_their_bound() {
        assert!(outcome(8.0, Target::RatioAtLeast(0.8)).met());
        assert!(!outcome(7.9, Target::RatioAtLeast(0.8)).met());
        assert!(outcome(100.0, Target::ValueAtMost(100.0)).met());
        assert!(!outcome(100.1, Target::ValueAtMost(100.0)).met());
    }

    #[test]
    fn a_line_begins_with_name_value_unit_reference_and_ratio() {
        let line = outcome(8.0, Target::RatioAtLeast(0.8)).to_string();
        let words: Vec<&str> = line.split_whitespace().take(5).collect();
        assert_eq!(words, ["m", "8.000", "us", "10.000", "0.800"]);
    }
}
