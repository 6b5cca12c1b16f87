//! What a run says of itself.

use millstream_yardstick::stats::{QUARTERS_MAX, spread};
use serde_json::Value;

/// The figures of one run that are compared.
#[derive(Clone, Debug)]
pub struct Figures {
    pub rate: f64,
    pub processor_ns: f64,
    pub cores: f64,
    pub peak_memory: f64,
    pub guarantee: String,
    /// What made the run worthless for a mean.
    pub disturbed: Option<String>,
    /// All that it said.
    pub line: Value,
}

impl Figures {
    /// Reads a line of JSON.
    ///
    /// # Errors
    /// A figure is missing.
    pub fn of(line: Value) -> Result<Figures, String> {
        let number = |name: &str| {
            line[name].as_f64().ok_or_else(|| format!("the program did not say its {name}: {line}"))
        };
        let (rate, cores) = (number("events_per_second")?, number("cores_used")?);
        Ok(Figures {
            rate,
            processor_ns: line["processor_ns_per_event"].as_f64().unwrap_or(cores * 1e9 / rate),
            cores,
            peak_memory: number("peak_memory_bytes")?,
            guarantee: line["guarantee"].as_str().unwrap_or("none").to_owned(),
            disturbed: disturbance(&line),
            line,
        })
    }
}

/// Others that had more than this of the cores' time, or a hypervisor that took it, disturbed a run.
const OTHERS_MAX: f64 = 0.05;

fn disturbance(line: &Value) -> Option<String> {
    let share = |name: &str| line[name].as_f64().unwrap_or(0.0);
    let others = share("others_share") + share("stolen_share");
    if others > OTHERS_MAX {
        return Some(format!("others had {:.0} % of the cores", others * 100.0));
    }
    let quarters: Vec<f64> = line["quarters"].as_array()?.iter().filter_map(Value::as_f64).collect();
    let (least, greatest) = spread(quarters);
    (greatest > least * QUARTERS_MAX)
        .then(|| format!("its quarters differ, {:.2} to {:.2} M/s", least / 1e6, greatest / 1e6))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(quarters: [f64; 4]) -> Value {
        json!({ "events_per_second": 2e6, "cores_used": 1.5, "peak_memory_bytes": 1024, "quarters": quarters })
    }

    #[test]
    fn a_run_whose_quarters_differ_is_disturbed() {
        assert!(Figures::of(line([2.0, 2.1, 2.2, 2.5])).unwrap().disturbed.is_none());
        assert!(Figures::of(line([2.0, 2.1, 2.2, 2.7])).unwrap().disturbed.unwrap().contains("quarters"));
    }

    #[test]
    fn a_run_beside_others_is_disturbed() {
        let mut line = line([2.0; 4]);
        line["others_share"] = json!(0.2);
        assert_eq!(Figures::of(line).unwrap().disturbed.unwrap(), "others had 20 % of the cores");
    }

    #[test]
    fn processor_time_follows_from_the_cores() {
        assert_eq!(Figures::of(line([2.0; 4])).unwrap().processor_ns, 750.0);
    }

    #[test]
    fn a_missing_figure_is_named() {
        let error = Figures::of(json!({ "events_per_second": 1.0 })).unwrap_err();
        assert!(error.contains("cores_used"), "{error}");
    }
}
