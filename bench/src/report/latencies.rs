//! Latencies: for each group its table, latencies by percentile, how many were how long, and the p99 of each second.

use std::fmt::Write as _;

use super::html::escaped;
use super::model::{Group, Series};
use super::plot::{Axis, Line, Plot, Point, Scale};

/// Lines of a plot further up than this cannot be told apart.
const NINES_MAX: u32 = 6;

/// How many points there are between two powers of ten of the percentile axis.
const POINTS_PER_DECADE: u32 = 12;

/// How many bars of a histogram there are between two powers of ten.
const BARS_PER_DECADE: f64 = 10.0;

/// Adds a group to a page.
pub fn add(page: &mut String, group: &Group) {
    let _ = writeln!(page, "<h3>{}</h3>", escaped(&group.title));
    for note in &group.notes {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(note));
    }
    for verdict in &group.verdicts {
        let class = if verdict.met { "met" } else { "missed" };
        let _ = writeln!(page, "<p class=\"{class}\">{}</p>", escaped(&verdict.text));
    }
    if group.series.is_empty() {
        return;
    }
    add_table(page, &group.series);
    // There may be no more than percentiles.
    if group.series.iter().any(|series| !series.histogram_ns.is_empty()) {
        page.push_str(&by_percentile(&group.series).to_svg());
        page.push_str(&by_length(&group.series).to_svg());
    }
    if group.series.iter().any(|series| series.seconds.iter().any(|second| second.p99_us.is_some())) {
        page.push_str(&over_time(&group.series).to_svg());
    }
}

fn add_table(page: &mut String, series: &[Series]) {
    let percentiles: Vec<&String> = series.iter().flat_map(|series| series.percentiles_us.keys()).collect();
    let mut names: Vec<&String> = Vec::new();
    percentiles.into_iter().for_each(|name| {
        if !names.contains(&name) {
            names.push(name)
        }
    });
    page.push_str("<div class=\"wide\"><table>\n<tr><th>microseconds</th>");
    for name in &names {
        let _ = write!(page, "<th>{}</th>", escaped(name));
    }
    page.push_str(
        "<th>max</th><th>median p99 of a second</th><th>records</th><th>seconds disturbed</th></tr>\n",
    );
    for series in series {
        let class = if series.all_disturbed { " class=\"disturbed\"" } else { "" };
        let _ = write!(page, "<tr{class}><td>{}</td>", escaped(&series.label));
        let percentiles =
            names.iter().map(|name| series.percentiles_us.get(*name).and_then(|value| value.as_f64()));
        for value in percentiles.chain([series.max_us, series.median_of_seconds_p99_us]) {
            let shown = value.map_or_else(|| "none".to_owned(), |value| format!("{value:.1}"));
            let _ = write!(page, "<td>{shown}</td>");
        }
        let throughout = if series.all_disturbed { ": all, the figures say little" } else { "" };
        let (disturbed, seconds) = (series.disturbed(), series.seconds.len());
        let _ =
            writeln!(page, "<td>{}</td><td>{disturbed} of {seconds}{throughout}</td></tr>", series.records);
    }
    page.push_str("</table></div>\n");
    for note in series.iter().flat_map(|series| series.notes.iter().map(move |note| (series, note))) {
        let (series, note) = note;
        let _ = writeln!(page, "<p class=\"note\">{}: {}</p>", escaped(&series.label), escaped(note));
    }
}

/// Latencies over percentiles, such that each further nine is as far as the one before.
fn by_percentile(series: &[Series]) -> Plot {
    let lines: Vec<Line> = series.iter().map(percentile_line).collect();
    let words = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    let ticks =
        words.into_iter().enumerate().map(|(nines, words)| (10f64.powi(nines as i32), words.to_owned()));
    let x = Axis {
        label: "percentile".to_owned(),
        scale: Scale::Log,
        from: 1.0,
        to: 10f64.powi(NINES_MAX as i32),
        ticks: ticks.collect(),
    };
    Plot { title: "Latency by percentile".to_owned(), x, y: latency_axis(&lines), lines }
}

fn percentile_line(series: &Series) -> Line {
    let steps = (0..=NINES_MAX * POINTS_PER_DECADE)
        .map(|step| 10f64.powf(f64::from(step) / f64::from(POINTS_PER_DECADE)))
        // Further on there is nothing but the maximum.
        .take_while(|rarity| *rarity <= series.records as f64);
    let mut values = series.histogram_ns.iter().copied();
    let (mut seen, mut at) = (0, 0);
    let points = steps
        .map(|rarity| {
            let wanted = (series.records as f64 * (1.0 - 1.0 / rarity)).ceil().max(1.0) as u64;
            while seen < wanted
                && let Some((value, count)) = values.next()
            {
                (seen, at) = (seen + count, value);
            }
            Point { x: rarity, y: at as f64 / 1e3, aside: false }
        })
        .collect();
    Line { label: series.label.clone(), points, ..Line::default() }
}

/// How many latencies were how long, both on logarithmic axes: rare ones are seen beside common ones.
fn by_length(series: &[Series]) -> Plot {
    let lines: Vec<Line> = series.iter().map(length_line).collect();
    let points = || lines.iter().flat_map(|line| &line.points);
    let x = Axis::log("latency, microseconds", points().map(|point| point.x));
    let y = Axis::log("share of all records, per tenth of a power of ten", points().map(|point| point.y));
    Plot { title: "How many took how long".to_owned(), x, y, lines }
}

fn length_line(series: &Series) -> Line {
    let mut bars: Vec<(i64, u64)> = Vec::new();
    for &(nanos, count) in &series.histogram_ns {
        let bar = ((nanos.max(1) as f64 / 1e3).log10() * BARS_PER_DECADE).floor() as i64;
        match bars.last_mut() {
            Some((last, sum)) if *last == bar => *sum += count,
            _ => bars.push((bar, count)),
        }
    }
    let corner = |bar: i64| 10f64.powf(bar as f64 / BARS_PER_DECADE);
    let points = bars.into_iter().flat_map(|(bar, count)| {
        let share = count as f64 / series.records.max(1) as f64;
        [bar, bar + 1].map(|edge| Point { x: corner(edge), y: share, aside: false })
    });
    Line { label: series.label.clone(), points: points.collect(), ..Line::default() }
}

fn over_time(series: &[Series]) -> Plot {
    let line = |series: &Series| {
        let points = series.seconds.iter().enumerate().map(|(number, second)| Point {
            x: number as f64 + 0.5,
            y: second.p99_us.unwrap_or(f64::NAN),
            aside: second.disturbed.is_some(),
        });
        let (label, marks) = (series.label.clone(), series.checkpoints_at_s.clone());
        Line { label, points: points.collect(), marks, dashed: false }
    };
    let lines: Vec<Line> = series.iter().map(line).collect();
    let seconds = series.iter().map(|series| series.seconds.len()).max().unwrap_or(0);
    Plot {
        title: "p99 of each second; short strokes are checkpoints, hollow seconds were disturbed".to_owned(),
        x: Axis::from_zero("seconds that count", seconds as f64),
        y: latency_axis(&lines),
        lines,
    }
}

fn latency_axis(lines: &[Line]) -> Axis {
    Axis::log("microseconds", lines.iter().flat_map(|line| line.points.iter().map(|point| point.y)))
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::super::model::{Second, Verdict};
    use super::super::plot::tests::assert_well_formed;
    use super::*;

    /// A thousand latencies from 1 to 1000 microseconds in one second, and a disturbed one.
    pub fn series(label: &str) -> Series {
        let percentiles =
            [("p50", 500.0), ("p99", 990.0)].map(|(name, value)| (name.to_owned(), json!(value)));
        Series {
            label: label.to_owned(),
            percentiles_us: percentiles.into_iter().collect(),
            max_us: Some(1000.0),
            median_of_seconds_p99_us: Some(990.0),
            records: 1000,
            seconds: vec![
                Second { p99_us: Some(990.0), records: 1000, ..Second::default() },
                Second {
                    p99_us: Some(90_000.0),
                    records: 1,
                    disturbed: Some("a compiler".to_owned()),
                    ..Second::default()
                },
            ],
            checkpoints_at_s: vec![0.1, 1.2],
            notes: vec!["a note with <angles>".to_owned()],
            histogram_ns: (1..=1000).map(|micros| (micros * 1000, 1)).collect(),
            ..Series::default()
        }
    }

    #[test]
    fn a_group_is_well_formed_and_shows_what_was_measured() {
        let verdict = Verdict {
            text: "p99: 9 us, wanted below 5 us: MISSED".to_owned(),
            value: Some(9.0),
            unit: "us".to_owned(),
            below: 5.0,
            met: false,
            disturbed: false,
        };
        let mut page = String::new();
        add(
            &mut page,
            &Group { series: vec![series("spin & co")], verdicts: vec![verdict], ..Group::default() },
        );
        assert_well_formed(&page);
        assert_eq!(page.matches("<svg").count(), 3);
        assert!(page.contains("class=\"missed\"") && page.contains("spin &amp; co"));
        assert!(page.contains("<th>p50</th><th>p99</th>") && page.contains("<td>500.0</td><td>990.0</td>"));
        assert_eq!(
            page.matches("<circle").count(),
            2,
            "the disturbed second is hollow, and the other is alone"
        );
        assert!(page.contains("1 of 2"));
    }

    #[test]
    fn what_is_empty_has_no_plots() {
        let mut page = String::new();
        let empty = Series { label: "empty".to_owned(), ..Series::default() };
        add(&mut page, &Group { series: vec![empty], ..Group::default() });
        assert_well_formed(&page);
        assert!(!page.contains("<svg") && page.contains("none"));
    }

    #[test]
    fn a_percentile_line_follows_the_histogram_and_ends_where_the_maximum_begins() {
        let line = percentile_line(&series("s"));
        let at =
            |rarity: f64| line.points.iter().find(|point| (point.x / rarity - 1.0).abs() < 0.01).unwrap().y;
        assert_eq!((at(1.0), at(10.0), at(100.0)), (1.0, 900.0, 990.0));
        let last = line.points.last().unwrap();
        assert!((900.0..1000.1).contains(&last.x) && last.y == 999.0, "{last:?}");
        assert!(line.points.is_sorted_by(|a, b| a.y <= b.y));
    }

    #[test]
    fn shares_add_up_to_one() {
        let line = length_line(&series("s"));
        let sum: f64 = line.points.iter().step_by(2).map(|point| point.y).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        assert!(line.points.is_sorted_by(|a, b| a.x <= b.x));
    }
}
