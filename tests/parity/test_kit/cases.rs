//! Tables of cases in data files.

use std::time::Duration;

use millstream::prelude::*;
use millstream::testing::{Cases, CasesError, Input, TestFlow, single};
use millstream::time::Ticks;

use super::sums;

const FIVE: Duration = Duration::from_secs(5);

/// A table beside the tests.
fn read(name: &str) -> Cases {
    Cases::read(format!("{}/tests/cases/{name}.csv", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn ut_03_wn_14_as_a_table() {
    read("allowed_lateness").input("in", str::parse::<i64>).hold(sums());
}

#[test]
fn ut_03_a_table_may_feed_several_inputs() {
    let program = |flow: &TestFlow| {
        let left = flow.input::<i64>("left").key_by(|_| 7u64);
        let right = flow.input::<i64>("right").key_by(|_| 7u64);
        let pairs = left.interval_join(right, Ticks(-2), Ticks(1)).join(|left, right| (*left, *right));
        flow.output("pairs", pairs);
    };
    let table = read("interval_join");
    table.input("left", str::parse::<i64>).input("right", str::parse::<i64>).hold(program);
}

#[test]
fn ut_03_a_table_may_move_the_clock() {
    let program = single(|_, words: Input<String>| {
        let windows = words.key_by_ref(|word| word.as_str()).window(Tumbling::of(FIVE).on_clock());
        windows.count().map(|count| (count.key, count.value))
    });
    let word = |text: &str| Ok::<_, String>(text.to_owned());
    read("on_the_clock").input("in", word).hold(program);
}

#[test]
fn ut_03_what_does_not_fit_is_named_with_file_and_line() {
    let said = |text: &str| {
        let cases = Cases::parse("sums.csv", text)?;
        cases.input("in", str::parse::<i64>).check(sums())
    };
    let wrong = |text: &str, words: &str| {
        let error = said(text).unwrap_err().to_string();
        assert!(error.contains(words), "{words:?} is not in {error:?}");
    };
    wrong(
        "record, watermark, expect\n10 @ 1, ,\n5 @ 2, 4999, \"(0, 14) @ 4999\"",
        "sums.csv:3: output `out` is not what is expected\n  expected (0, 14) @ 4999\n       got (0, 15) @ 4999",
    );
    wrong("record, expect\n10 @ 1, \"(0, 10)\"", "expected (0, 10)\n       got nothing");
    wrong("record\nten @ 1", "sums.csv:2: `ten` is not a record of this input: invalid digit");
    wrong("record\n10", "sums.csv:2: `10` is not a record with its event time");
    wrong("record other\n10 @ 1", "sums.csv:2: nobody has said how records of input `other` are read");
    wrong("record, expect other\n10 @ 1", "no output `other`; it has `late`, `out`");
    wrong("watermark\n5\n4", "sums.csv:3: the watermark of input `in` stands at 5 and cannot go back to 4");
    wrong("watermark\n5\nlater", "sums.csv:3: `later` is not a watermark");
    let missing = Cases::read("no/such.csv").err().unwrap();
    assert!(matches!(missing, CasesError::Read { .. }), "{missing}");
    assert!(missing.to_string().starts_with("no/such.csv: cannot read the cases"), "{missing}");
}

#[test]
fn ut_03_a_table_holds_a_program_to_the_contract_too() {
    let running = single(|_, numbers: Input<i64>| {
        let sum = std::cell::Cell::new(0);
        numbers.map(move |n| {
            sum.set(sum.get() + n);
            sum.get()
        })
    });
    let table = Cases::parse("running.csv", "record, expect\n1 @ 0, 1\n# and\n2 @ 0, 3").unwrap();
    let error = table.input("in", str::parse::<i64>).check(running).unwrap_err().to_string();
    assert!(error.starts_with("running.csv:4: step 2 (push 2 at 0), restored after every step"), "{error}");
}
