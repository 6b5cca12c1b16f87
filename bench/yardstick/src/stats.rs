//! Medians and spreads of a few rounds.

/// The middle value; of an even number, the mean of the two in the middle. Not a number where there is none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        len if len.is_multiple_of(2) => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// The smallest and the largest value.
pub fn spread(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let extremes = |(least, greatest): (f64, f64), value: f64| (least.min(value), greatest.max(value));
    values.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), extremes)
}

/// Quarters of one run whose rates differ by more than this factor were disturbed.
pub const QUARTERS_MAX: f64 = 1.3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn a_spread_has_both_ends() {
        assert_eq!(spread([2.0, -1.0, 5.0]), (-1.0, 5.0));
    }
}
