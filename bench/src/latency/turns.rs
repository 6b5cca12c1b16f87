//! Several things under the same schedule, by turns, and the machine beside them.

use std::error::Error;

use super::figures::{Group, Series};
use super::meter;
use super::settings::{Length, Settings};

/// Gives a stretch of what it measures, each time it is called.
pub type Run<'a> = Box<dyn FnMut(Length) -> Result<Series, Box<dyn Error>> + 'a>;

/// A turn of the bare loops is no longer than this: it need not see every rare thing that a machine does.
const METER_SECONDS_MAX: u64 = 10;

/// Runs all of them in each turn, after the bare loops on these cores. The same label is the same series.
pub fn by_turns(
    settings: &Settings,
    title: String,
    cores: &[usize],
    (length, turns): (Length, usize),
    runs: &mut [Run<'_>],
) -> Result<Group, Box<dyn Error>> {
    let mut group = Group { title, ..Group::default() };
    for _ in 0..turns {
        let metered = Length { warm_up: length.warm_up / 4, ..length.at_most(METER_SECONDS_MAX) };
        meter::measure(settings, cores, metered)?.into_iter().for_each(|series| add(&mut group, series));
        for run in runs.iter_mut() {
            add(&mut group, run(length)?);
        }
    }
    Ok(group)
}

fn add(group: &mut Group, series: Series) {
    match group.series.iter_mut().find(|known| known.label == series.label) {
        Some(known) => known.extend(series),
        None => group.series.push(series),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::{second, series};
    use super::super::settings::tests::brief;
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_turn_runs_everything_and_adds_to_what_was_before() {
        let settings = brief(std::path::Path::new("."));
        let length = Length { rate: 1000, warm_up: Duration::ZERO, seconds: 1 };
        let mut order = Vec::new();
        let log = std::cell::RefCell::new(&mut order);
        let run = |label: &'static str| -> Run<'_> {
            let log = &log;
            Box::new(move |_| {
                log.borrow_mut().push(label);
                Ok(series(label, vec![second([1], None)]))
            })
        };
        let core = settings.cores[0];
        let group =
            by_turns(&settings, "t".to_owned(), &[core], (length, 2), &mut [run("a"), run("b")]).unwrap();
        let seen: Vec<_> = group.series.iter().map(|of| (of.label.clone(), of.seconds.len())).collect();
        assert_eq!(seen, [(meter::label(core), 2), ("a".to_owned(), 2), ("b".to_owned(), 2)]);
        assert_eq!(order, ["a", "b", "a", "b"]);
    }
}
