//! Lengths of time, as Flink's configuration writes them.

use std::str::FromStr;
use std::time::Duration;

/// A length of time as a parameter: `10 s`, `500ms`, `1 min`; a number by itself is milliseconds
/// ([Flink: TimeUtils](https://nightlies.apache.org/flink/flink-docs-stable/api/java/org/apache/flink/util/TimeUtils.html)).
///
/// ```
/// use millstream_engine::params::{Length, Params};
/// use std::time::Duration;
///
/// let params = Params::from_args(["--timeout", "10 min", "--pause=500"])?;
/// assert_eq!(params.required::<Length>("timeout")?.0, Duration::from_secs(600));
/// assert_eq!(params.required::<Length>("pause")?.0, Duration::from_millis(500));
/// # Ok::<(), millstream_engine::params::ParamError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(pub Duration);

/// A text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no length of time: give a whole number and a unit (d, h, min, s, ms, us, ns), as in 10 s")]
pub struct NoLength(String);

/// The units by their names, in nanoseconds.
const UNITS: [(&[&str], u64); 7] = [
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["h", "hour", "hours"], 3_600_000_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["", "ms", "milli", "millis", "millisecond", "milliseconds"], 1_000_000),
    (&["us", "µs", "micro", "micros", "microsecond", "microseconds"], 1_000),
    (&["ns", "nano", "nanos", "nanosecond", "nanoseconds"], 1),
];

impl FromStr for Length {
    type Err = NoLength;

    fn from_str(text: &str) -> Result<Self, NoLength> {
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.trim().to_lowercase();
        let nanos = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str())).map(|(_, nanos)| *nanos);
        let length =
            nanos.zip(number.parse::<u64>().ok()).and_then(|(nanos, number)| nanos.checked_mul(number));
        length.map(|nanos| Length(Duration::from_nanos(nanos))).ok_or_else(|| NoLength(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        let read = |text: &str| text.parse::<Length>().map(|length| length.0);
        let seconds = |seconds| Ok(Duration::from_secs(seconds));
        assert_eq!(read("10 s"), seconds(10));
        assert_eq!(read(" 10000 "), seconds(10));
        assert_eq!(read("2min"), seconds(120));
        assert_eq!(read("1 h"), seconds(3600));
        assert_eq!(read("1 day"), seconds(86_400));
        assert_eq!(read("7 us"), Ok(Duration::from_micros(7)));
        assert_eq!(read("0"), seconds(0));
        for wrong in ["", "s", "-1", "1.5 s", "10 fortnights", "99999999999999999999 s"] {
            assert_eq!(read(wrong), Err(NoLength(wrong.to_owned())));
        }
    }
}
