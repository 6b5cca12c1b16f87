//! Bars side by side, from zero, as SVG.

use std::fmt::Write as _;

use super::html::{COLORS, color, escaped};
use super::plot::{Axis, number};

const WIDTH: f64 = 760.0;
const LEFT: f64 = 190.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 34.0;
const BAR: f64 = 13.0;
/// Between the bars of one thing and those of the next.
const GAP: f64 = 9.0;
const AXIS: f64 = 44.0;
const LEGEND: f64 = 18.0;

/// Bars of several things, each measured in several ways.
pub struct Bars {
    pub title: String,
    /// What is shown, with its unit.
    pub label: String,
    /// The ways, in the order of their colours.
    pub ways: Vec<String>,
    pub things: Vec<(String, Vec<Bar>)>,
}

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    pub way: usize,
    /// None: there is none to be shown, and `remark` says why.
    pub value: Option<f64>,
    pub spread: Option<(f64, f64)>,
    pub remark: Option<String>,
}

impl Bars {
    /// As an element of a page.
    pub fn to_svg(&self) -> String {
        let bars = || self.things.iter().flat_map(|(_, bars)| bars);
        let most = bars()
            .filter_map(|bar| Some(bar.spread.map_or(0.0, |(_, most)| most).max(bar.value?)))
            .fold(0.0, f64::max);
        let axis = Axis::from_zero(&self.label, most);
        let bottom = TOP + bars().count() as f64 * BAR + self.things.len() as f64 * GAP;
        // Where colours are used twice, each bar says what it is.
        let named = self.ways.len() > COLORS;
        let legend = if named { &[] } else { self.ways.as_slice() };
        let height = bottom + AXIS + LEGEND * legend.len() as f64;
        let title = escaped(&self.title);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">\n\
             <title>{title}</title>\n<text x=\"8\" y=\"20\" class=\"title\">{title}</text>\n"
        );
        draw_axis(&mut svg, &axis, bottom);
        let mut y = TOP;
        for (thing, bars) in &self.things {
            let middle = y + bars.len() as f64 * BAR / 2.0 + 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                escaped(thing)
            );
            for bar in bars {
                let way = if named { self.ways.get(bar.way).map(String::as_str) } else { None };
                draw_bar(&mut svg, &axis, bar, way, y);
                y += BAR;
            }
            y += GAP;
        }
        for (way, name) in legend.iter().enumerate() {
            let y = bottom + AXIS + LEGEND * way as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{}\" width=\"24\" height=\"10\" style=\"fill:{}\"/><text x=\"{}\" y=\"{y}\">{}</text>",
                y - 9.0,
                color(way),
                LEFT + 32.0,
                escaped(name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

fn x_of(axis: &Axis, value: f64) -> f64 {
    LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT)
}

fn draw_axis(svg: &mut String, axis: &Axis, bottom: f64) {
    for (value, words) in &axis.ticks {
        let x = x_of(axis, *value);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" class=\"grid\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 14.0,
            escaped(words)
        );
    }
    let _ = writeln!(
        svg,
        "<path d=\"M{LEFT},{TOP}V{bottom}\" class=\"axis\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        bottom + 30.0,
        escaped(&axis.label)
    );
}

fn draw_bar(svg: &mut String, axis: &Axis, bar: &Bar, way: Option<&str>, y: f64) {
    let value = bar.value.unwrap_or(0.0);
    let (right, middle) = (x_of(axis, value), y + BAR / 2.0);
    // What is disturbed is hollow.
    let fill = if bar.remark.is_some() { "none".to_owned() } else { color(bar.way) };
    if bar.value.is_some() {
        let _ = write!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" style=\"fill:{fill};stroke:{}\"/>",
            y + 1.0,
            right - LEFT,
            BAR - 2.0,
            color(bar.way)
        );
    }
    let mut end = right;
    if let (Some((least, most)), Some(_)) = (bar.spread, bar.value) {
        let (least, most) = (x_of(axis, least), x_of(axis, most));
        end = end.max(most);
        let _ = write!(svg, "<path d=\"M{least:.1},{middle:.1}H{most:.1}\" class=\"whisker\"/>");
    }
    let words = match (bar.value, &bar.remark) {
        (Some(value), None) => number(value),
        (Some(value), Some(remark)) => format!("{}, {remark}", number(value)),
        (None, remark) => remark.clone().unwrap_or_else(|| "none".to_owned()),
    };
    let words = way.map_or_else(|| words.clone(), |way| format!("{words}: {way}"));
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\">{}</text>",
        end + 5.0,
        middle + 3.5,
        escaped(&words)
    );
}

#[cfg(test)]
mod tests {
    use super::super::plot::tests::assert_well_formed;
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_values_and_what_is_absent_says_so() {
        let bar = |way, value, remark: Option<&str>| Bar {
            way,
            value,
            spread: value.map(|value| (value * 0.9, value * 1.1)),
            remark: remark.map(str::to_owned),
        };
        let bars = Bars {
            title: "per core".to_owned(),
            label: "events per second".to_owned(),
            ways: vec!["ours".to_owned(), "<theirs>".to_owned()],
            things: vec![
                ("q1".to_owned(), vec![bar(0, Some(10.0), None), bar(1, Some(5.0), Some("disturbed"))]),
                ("q2".to_owned(), vec![bar(1, None, Some("absent"))]),
            ],
        };
        let svg = bars.to_svg();
        assert_well_formed(&svg);
        let full = WIDTH - LEFT - RIGHT;
        for value in [10.0, 5.0] {
            assert!(svg.contains(&format!("width=\"{:.1}\" height=\"11\"", full * value / 11.0)), "{svg}");
        }
        assert_eq!(svg.matches("class=\"whisker\"").count(), 2);
        assert!(svg.contains("fill:none") && svg.contains("absent") && svg.contains("&lt;theirs&gt;"));
        let many = Bars { ways: (0..=COLORS).map(|way| format!("way {way}")).collect(), ..bars };
        assert!(many.to_svg().contains("10: way 0") && !many.to_svg().contains("way 8"));
        assert_well_formed(&Bars { things: Vec::new(), ..many }.to_svg());
    }
}
