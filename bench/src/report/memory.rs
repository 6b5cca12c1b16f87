//! Resident memory over time.

use super::model::Memory;
use super::plot::{Axis, Line, Plot, Point};
use super::read::Source;

/// Adds what was seen in all runs to a page.
pub fn add(page: &mut String, sources: &[Source]) {
    let series: Vec<&Memory> = sources.iter().flat_map(|source| &source.run.memory).collect();
    let lines: Vec<Line> =
        series.into_iter().filter(|series| !series.resident.is_empty()).map(line).collect();
    if lines.is_empty() {
        return;
    }
    let most = |of: fn(&Point) -> f64| lines.iter().flat_map(|line| &line.points).map(of).fold(0.0, f64::max);
    let x = Axis::from_zero("seconds", most(|point| point.x));
    let y = Axis::from_zero("MiB resident", most(|point| point.y));
    page.push_str("<h2>Memory</h2>\n");
    page.push_str(&Plot { title: "Resident memory over time".to_owned(), x, y, lines }.to_svg());
}

fn line(series: &Memory) -> Line {
    let in_mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let points = series.resident.iter().map(|&(x, bytes)| Point { x, y: in_mib(bytes), aside: false });
    Line { label: series.label.clone(), points: points.collect(), ..Line::default() }
}
