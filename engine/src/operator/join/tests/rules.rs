//! What interval joins do in the corners that random traces have found.

use super::model::Spec;
use super::random::driver;

type Pair = (Option<i64>, Option<i64>);

/// What happens to key 1: a record of either side at a time, or event time.
enum Step {
    Left(i64),
    Right(i64),
    Watermark(i64),
}
use Step::{Left, Right, Watermark};

/// The times of pairs and of what is alone.
fn full((lower, upper): (i64, i64), steps: &[Step]) -> Vec<Pair> {
    let spec = Spec { lower, upper, exclusive: [false; 2], alone: [true; 2] };
    let (mut driver, _) = driver::<true, true>(&spec);
    for step in steps {
        match *step {
            Left(at) => driver.give(0, 0, &[(1, at, 0i64)]),
            Right(at) => driver.give(1, 0, &[(1, at, 0i64)]),
            Watermark(at) => driver.watermark(0, at, |_| {}),
        }
    }
    let time = |record: Option<(i64, i64)>| record.map(|(_, at)| at);
    driver.take().into_iter().map(|(given, _)| (time(given.left), time(given.right))).collect()
}

#[test]
fn jn_03_an_interval_may_be_without_bound() {
    assert_eq!(full((0, i64::MAX), &[Left(-20), Right(-2)]), [(Some(-20), Some(-2))]);
    assert_eq!(full((i64::MIN, 0), &[Left(-2), Right(-20)]), [(Some(-2), Some(-20))]);
}

#[test]
fn jn_03_what_has_come_out_alone_meets_nobody_after() {
    // The record at 3 is waited for until 5, its bucket, which it shares with those at 4 and 5, for longer.
    let steps = [Left(3), Left(4), Watermark(5), Right(5)];
    assert_eq!(full((0, 2), &steps), [(Some(3), None), (Some(4), Some(5))]);
}

#[test]
fn jn_03_what_has_no_partner_comes_out_once() {
    // The second record is not late, and over at once.
    let steps = [Left(10), Watermark(10), Left(10), Watermark(10), Watermark(11)];
    assert_eq!(full((-5, 0), &steps), [(Some(10), None); 2]);
}
