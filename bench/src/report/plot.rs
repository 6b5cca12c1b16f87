//! Line plots as SVG, as elements of a page: colours are the page's.

use std::fmt::Write as _;

use super::html::{color, escaped};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 44.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 50.0;
/// The height of a line of the legend, which lies below the plot.
const LEGEND: f64 = 18.0;

/// Whether equal steps are equal distances or equal factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

/// An axis: what it shows, from where to where.
#[derive(Clone, Debug)]
pub struct Axis {
    pub label: String,
    pub scale: Scale,
    pub from: f64,
    pub to: f64,
    /// Where there are words, and which.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Powers of ten around these values.
    pub fn log(label: &str, values: impl IntoIterator<Item = f64>) -> Axis {
        let positive = values.into_iter().filter(|value| value.is_finite() && *value > 0.0);
        let (least, most) = positive.fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), value| {
            (least.min(value), most.max(value))
        });
        let (first, last) = if least.is_finite() {
            (least.log10().floor() as i32, (most.log10().ceil() as i32).max(least.log10().floor() as i32 + 1))
        } else {
            (0, 1)
        };
        let ticks = (first..=last).map(|power| (10f64.powi(power), number(10f64.powi(power)))).collect();
        Axis {
            label: label.to_owned(),
            scale: Scale::Log,
            from: 10f64.powi(first),
            to: 10f64.powi(last),
            ticks,
        }
    }

    /// From 0 to that, with some ten ticks at round numbers.
    pub fn from_zero(label: &str, to: f64) -> Axis {
        let to = if to.is_finite() && to > 0.0 { to } else { 1.0 };
        let step = round_up(to / 10.0);
        let ticks = (0..).map(|tick| f64::from(tick) * step).take_while(|place| *place <= to * 1.0001);
        let ticks = ticks.map(|place| (place, number(place))).collect();
        Axis { label: label.to_owned(), scale: Scale::Linear, from: 0.0, to, ticks }
    }

    /// From 1 to the first power of two that is not less than that, and to 2 at least.
    pub fn doublings(label: &str, to: u16) -> Axis {
        let last = f64::from(to.max(2)).log2().ceil() as i32;
        let ticks = (0..=last).map(|power| 2f64.powi(power)).map(|place| (place, number(place))).collect();
        Axis { label: label.to_owned(), scale: Scale::Log, from: 1.0, to: 2f64.powi(last), ticks }
    }

    /// Where a value lies, from 0 to 1; what is beyond an end lies at it.
    pub fn place(&self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value.max(f64::MIN_POSITIVE) / self.from).log10() / (self.to / self.from).log10(),
        };
        part.clamp(0.0, 1.0)
    }
}

/// A line, with marks below it on the horizontal axis.
#[derive(Clone, Debug, Default)]
pub struct Line {
    pub label: String,
    pub points: Vec<Point>,
    /// Places on the horizontal axis that are marked in the line's colour.
    pub marks: Vec<f64>,
    /// It is no measurement, but what is expected.
    pub dashed: bool,
}

/// A point of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
    /// It is shown by itself, hollow, and the line leaves it out.
    pub aside: bool,
}

/// Lines over two axes.
#[derive(Clone, Debug)]
pub struct Plot {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
}

impl Plot {
    /// As an element of a page.
    pub fn to_svg(&self) -> String {
        let height = HEIGHT + LEGEND * self.lines.len() as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             role=\"img\">\n<title>{title}</title>\n<text x=\"{LEFT}\" y=\"20\" class=\"title\">{title}</text>\n",
            title = escaped(&self.title)
        );
        self.draw_axes(&mut svg);
        for (number, line) in self.lines.iter().enumerate() {
            self.draw_line(&mut svg, line, &color(number));
            let y = HEIGHT + LEGEND * number as f64;
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT},{y}h24\" class=\"{}\" style=\"stroke:{};stroke-width:4\"/>\n<text x=\"{}\" y=\"{}\">{}</text>",
                line.class(),
                color(number),
                LEFT + 32.0,
                y + 4.0,
                escaped(&line.label)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn x_of(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (WIDTH - LEFT - RIGHT)
    }

    fn y_of(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.place(value) * (HEIGHT - TOP - BOTTOM)
    }

    fn draw_axes(&self, svg: &mut String) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (value, words) in &self.x.ticks {
            let x = self.x_of(*value);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" class=\"grid\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                escaped(words)
            );
        }
        for (value, words) in &self.y.ticks {
            let y = self.y_of(*value);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" class=\"grid\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                escaped(words)
            );
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT},{TOP}V{bottom}H{right}\" class=\"axis\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16,{:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            f64::midpoint(LEFT, right),
            bottom + 34.0,
            escaped(&self.x.label),
            f64::midpoint(TOP, bottom),
            escaped(&self.y.label)
        );
    }

    fn draw_line(&self, svg: &mut String, line: &Line, color: &str) {
        let shown = || line.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
        let place = |point: &Point| format!("{:.1},{:.1}", self.x_of(point.x), self.y_of(point.y));
        let path: Vec<String> = shown().filter(|point| !point.aside).map(place).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" class=\"{}\" style=\"stroke:{color}\"/>",
            path.join(" "),
            line.class()
        );
        // A line of one point is none.
        if let [lone] = path.as_slice()
            && let Some((x, y)) = lone.split_once(',')
        {
            let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" style=\"fill:{color}\"/>");
        }
        for point in shown().filter(|point| point.aside) {
            let (x, y) = (self.x_of(point.x), self.y_of(point.y));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" class=\"line\" style=\"stroke:{color}\"/>"
            );
        }
        for mark in line.marks.iter().filter(|mark| mark.is_finite()) {
            let (x, bottom) = (self.x_of(*mark), HEIGHT - BOTTOM);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{:.1}\" style=\"stroke:{color}\"/>",
                bottom - 8.0
            );
        }
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not less.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0].into_iter().find(|times| times * power >= value * 0.9999);
    times.unwrap_or(10.0) * power
}

/// A number as briefly as it can be read: three digits, and a letter for the power of ten.
pub fn number(value: f64) -> String {
    let (scaled, letter) = match value.abs() {
        size if size >= 1e9 => (value / 1e9, " G"),
        size if size >= 1e6 => (value / 1e6, " M"),
        size if size >= 1e3 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size => (2 - size.log10().floor() as i32).clamp(0, 9) as usize,
    };
    let text = format!("{scaled:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{letter}")
}

impl Line {
    fn class(&self) -> &'static str {
        if self.dashed { "line dashed" } else { "line" }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Asserts that every element is closed, in order, and that no text holds what it must not.
    pub fn assert_well_formed(text: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            assert!(!rest[..at].contains('>'), "a stray > before {:.80}", &rest[at..]);
            let end = rest.find('>').expect("every tag ends");
            let tag = &rest[at + 1..end];
            assert!(!tag.contains('<'), "a tag within <{tag}>");
            assert!(tag.matches('"').count().is_multiple_of(2), "a quote is open in <{tag}>");
            let name = tag.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap();
            match () {
                () if tag.starts_with('!') => {}
                () if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "closed out of order"),
                () if tag.ends_with('/') || ["meta", "br"].contains(&name) => {}
                () => open.push(name),
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty(), "never closed: {open:?}");
        for entity in text.split('&').skip(1) {
            assert!(
                ["amp;", "lt;", "gt;", "quot;"].iter().any(|known| entity.starts_with(known)),
                "&{entity:.20}"
            );
        }
        assert!(!text.contains("NaN") && !text.contains("inf\""), "a place that is none");
    }

    fn point(x: f64, y: f64) -> Point {
        Point { x, y, aside: false }
    }

    fn plot(lines: Vec<Line>) -> Plot {
        let values: Vec<f64> = lines.iter().flat_map(|line| &line.points).map(|point| point.y).collect();
        Plot {
            title: "a < b & \"c\"".to_owned(),
            x: Axis::from_zero("s", 3.0),
            y: Axis::log("us", values),
            lines,
        }
    }

    #[test]
    fn a_plot_is_well_formed_whatever_is_in_it() {
        assert_well_formed(&plot(Vec::new()).to_svg());
        let points = vec![
            point(0.0, 12.0),
            point(1.0, f64::NAN),
            point(2.0, 0.0),
            Point { aside: true, ..point(3.0, 4000.0) },
        ];
        let line = Line { label: "<x>".to_owned(), points, marks: vec![0.5, f64::NAN], dashed: true };
        let svg = plot(vec![line]).to_svg();
        assert_well_formed(&svg);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("&lt;x&gt;") && svg.contains("a &lt; b &amp; &quot;c&quot;"));
    }

    #[test]
    fn logarithmic_axes_reach_from_power_to_power() {
        let axis = Axis::log("us", [3.0, 4200.0, f64::NAN, 0.0]);
        assert_eq!((axis.from, axis.to), (1.0, 10_000.0));
        assert_eq!(
            axis.ticks.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>(),
            ["1", "10", "100", "1 k", "10 k"]
        );
        assert_eq!(axis.place(100.0), 0.5);
        assert_eq!((axis.place(0.001), axis.place(1e9)), (0.0, 1.0));
        let one = Axis::log("us", [10.0]);
        assert!(one.to > one.from);
    }

    #[test]
    fn linear_axes_have_round_ticks() {
        let axis = Axis::from_zero("s", 60.0);
        assert_eq!(
            axis.ticks.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>(),
            ["0", "10", "20", "30", "40", "50", "60"]
        );
        assert_eq!(axis.place(15.0), 0.25);
        assert_eq!(Axis::from_zero("s", 0.0).to, 1.0);
        assert_eq!(Axis::from_zero("s", f64::NAN).to, 1.0);
        assert_eq!(Axis::from_zero("events", 87.0e6).ticks[1].1, "10 M");
    }

    #[test]
    fn shards_double_from_tick_to_tick() {
        let axis = Axis::doublings("shards", 48);
        assert_eq!((axis.from, axis.to, axis.ticks.len()), (1.0, 64.0, 7));
        assert_eq!(axis.place(8.0), 0.5);
        assert_eq!(Axis::doublings("shards", 1).to, 2.0);
    }

    #[test]
    fn numbers_are_brief() {
        let shown = [0.0, 0.001, 0.25, 1.0, 12.34, 999.0, 1500.0, 81_250_000.0, 2.0e9].map(number);
        assert_eq!(shown, ["0", "0.001", "0.25", "1", "12.3", "999", "1.5 k", "81.2 M", "2 G"]);
    }

    #[test]
    fn a_line_of_one_point_is_seen() {
        let line = Line { points: vec![point(1.0, 10.0)], ..Line::default() };
        assert_eq!(plot(vec![line]).to_svg().matches("<circle").count(), 1);
    }
}
