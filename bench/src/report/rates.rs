//! Throughput: bars per core, and a table with everything that is said of a row.

use std::fmt::Write as _;

use super::bars::{Bar, Bars};
use super::html::escaped;
use super::model::{Row, State};
use super::plot::number;
use super::read::Source;

/// Adds the rows of all runs to a page.
pub fn add(page: &mut String, sources: &[Source]) {
    let rows: Vec<&Row> = sources.iter().flat_map(|source| &source.run.rows).collect();
    if rows.is_empty() {
        return;
    }
    page.push_str("<h2>Throughput</h2>\n");
    page.push_str(&per_core(&rows).to_svg());
    add_table(page, &rows);
}

/// Who did it, and on how many shards: what a bar has its colour for.
fn way(row: &Row) -> String {
    let shards = if row.shards == 1 { "1 shard".to_owned() } else { format!("{} shards", row.shards) };
    format!("{}, {shards}", row.who())
}

fn per_core(rows: &[&Row]) -> Bars {
    let mut ways: Vec<String> = Vec::new();
    let mut things: Vec<(String, Vec<Bar>)> = Vec::new();
    for row in rows {
        let name = way(row);
        let number = ways.iter().position(|way| *way == name).unwrap_or_else(|| {
            ways.push(name);
            ways.len() - 1
        });
        let cores = row.events_per_second.zip(row.per_core()).map(|(rate, per_core)| rate / per_core);
        let bar = Bar {
            way: number,
            value: row.per_core(),
            spread: row.spread.zip(cores).map(|((least, most), cores)| (least / cores, most / cores)),
            remark: row.state.remark().map(str::to_owned),
        };
        match things.iter_mut().find(|(work, _)| *work == row.work) {
            Some((_, bars)) => bars.push(bar),
            None => things.push((row.work.clone(), vec![bar])),
        }
    }
    let title = "Throughput per core; hollow bars were disturbed, thin lines reach from the least to the greatest round";
    Bars { title: title.to_owned(), label: "events per second and core at work".to_owned(), ways, things }
}

fn add_table(page: &mut String, rows: &[&Row]) {
    page.push_str(
        "<div class=\"wide\"><table>\n<tr><th>work</th><th class=\"words\">system</th><th>shards</th><th>events/s</th><th>rounds</th><th>cores used</th>\
         <th>events/s and core</th><th>processor ns/event</th><th>peak memory, MiB</th><th class=\"words\">remark</th></tr>\n",
    );
    for row in rows {
        let class = if row.state == State::Ok { "" } else { " class=\"disturbed\"" };
        let shown = |value: Option<f64>| value.map_or_else(String::new, number);
        let spread = row
            .spread
            .map_or_else(String::new, |(least, most)| format!("{} to {}", number(least), number(most)));
        let because = row.because.clone().unwrap_or_default();
        let remark =
            row.state.remark().map_or_else(|| because.clone(), |remark| format!("{remark}: {because}"));
        let _ = writeln!(
            page,
            "<tr{class}><td>{}</td><td class=\"words\">{}</td><td>{}</td><td>{}</td><td>{spread}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
             <td class=\"words\">{}</td></tr>",
            escaped(&row.work),
            escaped(&row.who()),
            row.shards,
            shown(row.events_per_second),
            shown(row.cores_used),
            shown(row.per_core()),
            shown(row.nanos_per_event),
            row.peak_memory_bytes
                .map_or_else(String::new, |bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20))),
            escaped(&remark)
        );
    }
    page.push_str("</table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_together_by_work_and_have_their_colour_by_system_and_shards() {
        let row = |work: &str, system: &str, shards| Row {
            work: work.to_owned(),
            system: system.to_owned(),
            shards,
            events_per_second: Some(8.0e6),
            spread: Some((4.0e6, 8.0e6)),
            cores_used: Some(2.0),
            ..Row::default()
        };
        let rows = [row("q1", "ours", 1), row("q1", "theirs", 1), row("q2", "ours", 1), row("q2", "ours", 2)];
        let bars = per_core(&rows.iter().collect::<Vec<_>>());
        assert_eq!(bars.ways, ["ours, 1 shard", "theirs, 1 shard", "ours, 2 shards"]);
        let ways: Vec<Vec<usize>> =
            bars.things.iter().map(|(_, bars)| bars.iter().map(|bar| bar.way).collect()).collect();
        assert_eq!(ways, [[0, 1], [0, 2]]);
        assert_eq!(bars.things[0].1[0].value, Some(4.0e6));
        assert_eq!(bars.things[0].1[0].spread, Some((2.0e6, 4.0e6)));
    }
}
