//! Each kind against a plain computation: split over shards, saved, restored on other shards, and merged.

use proptest::prelude::*;

use super::*;

/// Adds the values on so many shards in turn, saves them, and merges what was saved on one.
fn over_shards<A: Accumulator>(values: &[A::Value], shards: usize) -> A
where
    A::Value: Copy,
{
    let parts: Vec<Parts> = (0..shards)
        .map(|shard| {
            let mut parts = Parts::default();
            let part = parts.part::<A>("it").unwrap();
            values.iter().skip(shard).step_by(shards).for_each(|value| part.borrow_mut().add(*value));
            parts
        })
        .collect();
    let mut all = Parts::default();
    let restored = all.part::<A>("it").unwrap();
    for saved in parts.iter().flat_map(Parts::save) {
        all.merge_saved(&saved).unwrap();
    }
    let restored = restored.borrow().total();
    let merged = Accumulators::of(&parts.iter().map(Parts::totals).collect::<Vec<_>>());
    assert_eq!(merged.get::<A>("it").unwrap().to_string(), restored.to_string());
    restored
}

proptest! {
    #[test]
    fn parts_add_up(values in prop::collection::vec(-1_000i64..1_000, 0..50), shards in 1usize..5) {
        let sum: i64 = values.iter().sum();
        prop_assert_eq!(over_shards::<LongCounter>(&values, shards).value(), sum);
        prop_assert_eq!(over_shards::<Minimum<i64>>(&values, shards).value(), values.iter().min().copied());
        prop_assert_eq!(over_shards::<Maximum<i64>>(&values, shards).value(), values.iter().max().copied());
        let histogram = over_shards::<Histogram>(&values, shards);
        for value in &values {
            let count = values.iter().filter(|other| *other == value).count();
            prop_assert_eq!(histogram.count(*value), count as u64);
        }
        // Whole numbers of this size add up without an error.
        let fractions: Vec<f64> = values.iter().map(|value| *value as f64).collect();
        prop_assert_eq!(over_shards::<DoubleCounter>(&fractions, shards).value(), sum as f64);
        let average = over_shards::<Average>(&fractions, shards);
        prop_assert_eq!(average.count(), values.len() as u64);
        prop_assert_eq!(average.value(), (!values.is_empty()).then(|| sum as f64 / values.len() as f64));
        let sizes: Vec<u64> = values.iter().map(|value| value.unsigned_abs()).collect();
        let quantiles = over_shards::<HdrHistogram>(&sizes, shards);
        prop_assert_eq!(quantiles.count(), sizes.len() as u64);
        prop_assert_eq!(quantiles.max(), sizes.iter().max().copied().unwrap_or(0));
    }
}

#[test]
fn a_counter_stops_at_the_end() {
    let mut counter = LongCounter::default();
    counter.add(i64::MAX);
    counter.add(1);
    assert_eq!(counter.value(), i64::MAX);
}

#[test]
fn fractions_have_a_total_order() {
    let mut least = Minimum::default();
    [0.0, -0.0, f64::INFINITY].into_iter().for_each(|value| least.add(value));
    assert_eq!(least.value().map(f64::to_bits), Some((-0.0f64).to_bits()));
}

#[test]
fn damage_is_named() {
    let mut parts = Parts::default();
    parts.part::<Histogram>("sizes").unwrap().borrow_mut().add(3);
    let mut saved = parts.save().remove(0);
    saved.bytes.pop();
    assert!(parts.merge_saved(&saved).unwrap_err().to_string().contains("numbers"));
    saved.bytes.extend([0; 8]);
    assert!(parts.merge_saved(&saved).is_err());
}

#[test]
fn errors_name_what_there_is() {
    let mut parts = Parts::default();
    parts.part::<LongCounter>("seen").unwrap();
    let all = Accumulators::of(&[parts.totals()]);
    let error = all.get::<Histogram>("seen").unwrap_err();
    assert_eq!(error.to_string(), "accumulator `seen` is a long counter, not a histogram");
    let error = all.counter("sent").unwrap_err();
    assert_eq!(error.to_string(), "the job has no accumulator named `sent`; it has `seen`");
}
