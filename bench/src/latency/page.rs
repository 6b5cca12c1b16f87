//! The page: for each group its table, latencies by percentile, and the p99 of each second.

use std::fmt::Write as _;

use serde_json::Value;

use super::figures::{Group, PERCENTILES, Series, micros_of};
use super::plot::{Axis, Line, Plot, Point, Scale, escaped};

/// How many points there are between two powers of ten of the percentile axis.
const POINTS_PER_DECADE: u32 = 12;

/// Lines of a plot further up than this cannot be told apart.
const NINES_MAX: u32 = 6;

const STYLE: &str = "body{font-family:sans-serif;max-width:64em;margin:2em auto;padding:0 1em}\
table{border-collapse:collapse;font-size:14px}td,th{padding:2px 10px;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}.missed{color:#b00}.note{color:#555;font-size:14px}";

/// The whole page.
pub fn page(machine: &Value, groups: &[Group]) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<title>Millstream: latency</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<h1>Millstream: latency</h1>\n<p class=\"note\">{}</p>\n\
         <p class=\"note\">Latencies count from the time at which a record was due. Seconds in which other programs or the hypervisor had the cores are \
         left out of the tables and of the plots by percentile, and are hollow over time. Short strokes on the time axis are checkpoints.</p>\n",
        escaped(&machine.to_string())
    );
    groups.iter().for_each(|group| add(&mut page, group));
    page.push_str("</body>\n</html>\n");
    page
}

fn add(page: &mut String, group: &Group) {
    let _ = writeln!(page, "<h2>{}</h2>", escaped(&group.title));
    for note in &group.notes {
        let _ = writeln!(page, "<p class=\"note\">{}</p>", escaped(note));
    }
    for verdict in &group.verdicts {
        let class = if verdict.met() { "met" } else { "missed" };
        let _ = writeln!(page, "<p class=\"{class}\">{}</p>", escaped(&verdict.to_string()));
    }
    add_table(page, &group.series);
    if group.series.iter().any(|series| !series.total().is_empty()) {
        page.push_str(&by_percentile(&group.series).to_svg());
        page.push_str(&over_time(&group.series).to_svg());
    }
}

fn add_table(page: &mut String, series: &[Series]) {
    page.push_str("<table>\n<tr><th>microseconds</th>");
    for (name, _) in PERCENTILES {
        let _ = write!(page, "<th>{name}</th>");
    }
    page.push_str(
        "<th>max</th><th>median p99 of a second</th><th>records</th><th>seconds disturbed</th></tr>\n",
    );
    for series in series {
        let total = series.total();
        let _ = write!(page, "<tr><td>{}</td>", escaped(&series.label));
        let quantiles = PERCENTILES.iter().map(|(_, quantile)| *quantile).chain([1.0]);
        for value in
            quantiles.map(|quantile| micros_of(&total, quantile)).chain([series.median_of_seconds(0.99)])
        {
            let shown = if value.is_finite() { format!("{value:.1}") } else { "none".to_owned() };
            let _ = write!(page, "<td>{shown}</td>");
        }
        let throughout = if series.all_disturbed() { ": all, the figures say little" } else { "" };
        let _ = writeln!(
            page,
            "<td>{}</td><td>{} of {}{throughout}</td></tr>",
            total.len(),
            series.disturbed(),
            series.seconds.len()
        );
    }
    page.push_str("</table>\n");
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
    let total = series.total();
    let steps = (0..=NINES_MAX * POINTS_PER_DECADE)
        .map(|step| 10f64.powf(f64::from(step) / f64::from(POINTS_PER_DECADE)))
        // Further on there is nothing but the maximum.
        .take_while(|rarity| *rarity <= total.len() as f64);
    let points = steps
        .map(|rarity| Point { x: rarity, y: micros_of(&total, 1.0 - 1.0 / rarity), aside: false })
        .collect();
    Line { label: series.label.clone(), points, marks: Vec::new() }
}

fn over_time(series: &[Series]) -> Plot {
    let lines: Vec<Line> = series
        .iter()
        .map(|series| Line {
            label: series.label.clone(),
            points: series
                .seconds
                .iter()
                .enumerate()
                .map(|(number, second)| Point {
                    x: number as f64 + 0.5,
                    y: micros_of(&second.histogram, 0.99),
                    aside: second.disturbed.is_some(),
                })
                .collect(),
            marks: series.checkpoints.clone(),
        })
        .collect();
    let seconds = series.iter().map(|series| series.seconds.len()).max().unwrap_or(0);
    Plot {
        title: "p99 of each second".to_owned(),
        x: Axis::from_zero("seconds that count", seconds as u32),
        y: latency_axis(&lines),
        lines,
    }
}

fn latency_axis(lines: &[Line]) -> Axis {
    Axis::log("microseconds", lines.iter().flat_map(|line| line.points.iter().map(|point| point.y)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::figures::Verdict;
    use super::super::figures::tests::{second, series};
    use super::super::plot::tests::assert_well_formed;
    use super::*;

    #[test]
    fn a_page_is_well_formed_and_shows_what_was_measured() {
        let quiet = Series {
            checkpoints: vec![0.1, 1.2],
            notes: vec!["a note with <angles>".to_owned()],
            ..series("spin & co", vec![second(1..=1000, None), second([90_000], Some("a compiler"))])
        };
        let verdict =
            Verdict { what: "p99".to_owned(), value: 9.0, unit: "us", below: 5.0, disturbed: false };
        let groups = [
            Group {
                title: "one".to_owned(),
                series: vec![quiet],
                verdicts: vec![verdict],
                ..Group::default()
            },
            Group {
                title: "nothing measured".to_owned(),
                series: vec![series("empty", Vec::new())],
                ..Group::default()
            },
        ];
        let page = page(&json!({ "cpu": "a <b> & c" }), &groups);
        assert_well_formed(&page);
        assert_eq!(page.matches("<svg").count(), 2, "what is empty has no plots");
        assert!(page.contains("class=\"missed\"") && page.contains("spin &amp; co"));
        assert_eq!(page.matches("<circle").count(), 1, "the disturbed second is hollow");
    }

    #[test]
    fn a_percentile_line_ends_where_the_maximum_begins() {
        let line = percentile_line(&series("s", vec![second(1..=1000, None)]));
        let last = line.points.last().unwrap();
        assert!(last.x <= 1000.1 && last.x > 900.0, "{last:?}");
        assert!((last.y - 999.0).abs() < 20.0, "{last:?}");
        assert!(line.points.is_sorted_by(|a, b| a.y <= b.y));
    }
}
