//! Scaling: what was measured on several shards, and what a model says of more.

use std::fmt::Write as _;

use super::html::escaped;
use super::model::{Prediction, Row, Scaling, State};
use super::plot::{Axis, Line, Plot, Point, number};
use super::read::Source;

/// Adds what there is to a page.
pub fn add(page: &mut String, sources: &[Source]) {
    let rows: Vec<&Row> = sources.iter().flat_map(|source| &source.run.rows).collect();
    let models: Vec<&Scaling> = sources.iter().flat_map(|source| &source.run.scaling).collect();
    let mut lines = measured(&rows);
    lines.extend(models.iter().map(|model| predicted(model)));
    if lines.is_empty() {
        return;
    }
    page.push_str("<h2>Scaling with shards</h2>\n");
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().map(|point| point.x).fold(2.0, f64::max);
    let x = Axis::doublings("shards", most as u16);
    let y = Axis::log("events per second", points().map(|point| point.y));
    let title = "Throughput by shards; dashed lines are predictions, hollow points were disturbed".to_owned();
    page.push_str(&Plot { title, x, y, lines }.to_svg());
    models.into_iter().for_each(|model| add_model(page, model));
}

/// A line per work and system that was measured on more than one number of shards.
fn measured(rows: &[&Row]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for row in rows {
        let Some(rate) = row.events_per_second else { continue };
        let label = format!("{}: {}", row.work, row.who());
        let point = Point { x: f64::from(row.shards), y: rate, aside: row.state == State::Disturbed };
        match lines.iter_mut().find(|line| line.label == label) {
            Some(line) => line.points.push(point),
            None => lines.push(Line { label, points: vec![point], ..Line::default() }),
        }
    }
    lines.retain(|line| line.points.iter().any(|point| point.x != line.points[0].x));
    lines.iter_mut().for_each(|line| line.points.sort_by(|a, b| a.x.total_cmp(&b.x)));
    lines
}

fn predicted(model: &Scaling) -> Line {
    let points = model.points.iter();
    let points =
        points.map(|point| Point { x: f64::from(point.shards), y: point.events_per_second, aside: false });
    let label = format!("{}: predicted", model.work);
    Line { label, points: points.collect(), marks: Vec::new(), dashed: true }
}

/// A model in words, for a terminal.
pub fn describe(model: &Scaling) -> String {
    let mut text = format!("\n{}: what a record costs\n", model.work);
    for part in &model.parts {
        let _ = writeln!(text, "  {:<22} {:>8.2} ns  {}", part.name, part.nanos, part.how);
    }
    let _ = writeln!(
        text,
        "  {:<10} {:>14} {:>12}  limit; what each limit alone lets through",
        "shards", "events/s", "rings, MiB"
    );
    for point in &model.points {
        let rate = number(point.events_per_second);
        let (rings, limit) = (mib(point.ring_memory_bytes), &point.limit);
        let _ = writeln!(text, "  {:<10} {rate:>14} {rings:>12}  {limit}; {}", point.shards, ceilings(point));
    }
    for check in &model.checks {
        let _ = writeln!(
            text,
            "  {} shards: predicted {}, measured {}, error {:+.1} %{}",
            check.shards,
            number(check.predicted),
            number(check.measured),
            check.error_percent(),
            if check.disturbed { "; DISTURBED" } else { "" }
        );
    }
    text
}

fn mib(bytes: u64) -> String {
    format!("{:.0}", bytes as f64 / f64::from(1 << 20))
}

fn ceilings(point: &Prediction) -> String {
    let said = |rate: &serde_json::Value| rate.as_f64().map_or_else(|| "no bound".to_owned(), number);
    let all: Vec<String> =
        point.ceilings.iter().map(|(name, rate)| format!("{name} {}", said(rate))).collect();
    all.join("; ")
}

fn add_model(page: &mut String, model: &Scaling) {
    let _ = writeln!(page, "<h3>The model of {}</h3>", escaped(&model.work));
    page.push_str(
        "<div class=\"wide\"><table>\n<tr><th>what a record costs</th><th>ns</th><th class=\"words\">how it was measured</th></tr>\n",
    );
    for part in &model.parts {
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{:.2}</td><td class=\"words\">{}</td></tr>",
            escaped(&part.name),
            part.nanos,
            escaped(&part.how)
        );
    }
    page.push_str(
        "</table></div>\n<div class=\"wide\"><table>\n<tr><th>shards</th><th>predicted events/s</th><th>measured</th><th>error</th>\
         <th>rings, MiB</th><th class=\"words\">limit</th><th class=\"words\">what each limit alone lets through, events/s</th></tr>\n",
    );
    for point in &model.points {
        let check = model.checks.iter().find(|check| check.shards == point.shards);
        let (measured, error) = check.map_or_else(Default::default, |check| {
            let disturbed = if check.disturbed { ", disturbed" } else { "" };
            (number(check.measured), format!("{:+.1} %{disturbed}", check.error_percent()))
        });
        let _ = writeln!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{measured}</td><td>{error}</td><td>{}</td><td class=\"words\">{}</td><td class=\"words\">{}</td></tr>",
            point.shards,
            number(point.events_per_second),
            mib(point.ring_memory_bytes),
            escaped(&point.limit),
            escaped(&ceilings(point))
        );
    }
    page.push_str("</table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_measured_on_several_shards_has_a_line() {
        let row = |work: &str, shards, rate| Row {
            work: work.to_owned(),
            system: "ours".to_owned(),
            shards,
            events_per_second: rate,
            ..Row::default()
        };
        let rows =
            [row("q1", 2, Some(9.0)), row("q1", 1, Some(5.0)), row("q2", 1, Some(5.0)), row("q2", 2, None)];
        let lines = measured(&rows.iter().collect::<Vec<_>>());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].label, "q1: ours");
        assert_eq!(
            lines[0].points.iter().map(|point| (point.x, point.y)).collect::<Vec<_>>(),
            [(1.0, 5.0), (2.0, 9.0)]
        );
    }
}
