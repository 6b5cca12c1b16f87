//! Line plots as SVG: just what the page of this benchmark needs.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 44.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 50.0;
/// The height of a line of the legend, which lies below the plot.
const LEGEND: f64 = 18.0;

/// Told apart by most people who do not see all colours (Okabe and Ito's).
const COLORS: [&str; 8] =
    ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933"];

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

    /// From 0 to that, with some ten ticks at whole numbers.
    pub fn from_zero(label: &str, to: u32) -> Axis {
        let to = to.max(1);
        let step = to.div_ceil(10);
        let ticks = (0..=to / step).map(|tick| (f64::from(tick * step), (tick * step).to_string())).collect();
        Axis { label: label.to_owned(), scale: Scale::Linear, from: 0.0, to: f64::from(to), ticks }
    }

    /// Where a value lies, from 0 to 1; what is beyond an end lies at it.
    fn place(&self, value: f64) -> f64 {
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
    /// As an element of a page, or a file of its own.
    pub fn to_svg(&self) -> String {
        let height = HEIGHT + LEGEND * self.lines.len() as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n<title>{title}</title>\n\
             <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{title}</text>\n",
            title = escaped(&self.title)
        );
        self.draw_axes(&mut svg);
        for (number, line) in self.lines.iter().enumerate() {
            self.draw_line(&mut svg, line, COLORS[number % COLORS.len()]);
            let y = HEIGHT + LEGEND * number as f64;
            let _ = writeln!(
                svg,
                "<rect x=\"{LEFT}\" y=\"{y}\" width=\"24\" height=\"4\" fill=\"{}\"/>\n<text x=\"{}\" y=\"{}\">{}</text>",
                COLORS[number % COLORS.len()],
                LEFT + 32.0,
                y + 6.0,
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
                "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                escaped(words)
            );
        }
        for (value, words) in &self.y.ticks {
            let y = self.y_of(*value);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                escaped(words)
            );
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT},{TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\"/>\n\
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
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.6\"/>",
            path.join(" ")
        );
        for point in shown().filter(|point| point.aside) {
            let (x, y) = (self.x_of(point.x), self.y_of(point.y));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"none\" stroke=\"{color}\"/>"
            );
        }
        for mark in line.marks.iter().filter(|mark| mark.is_finite()) {
            let (x, bottom) = (self.x_of(*mark), HEIGHT - BOTTOM);
            let _ = writeln!(
                svg,
                "<line x1=\"{x:.1}\" y1=\"{bottom}\" x2=\"{x:.1}\" y2=\"{:.1}\" stroke=\"{color}\"/>",
                bottom - 8.0
            );
        }
    }
}

/// A number as briefly as it can be read.
fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => value.to_string(),
    }
}

/// Text that may stand in a page or a plot.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
            x: Axis::from_zero("s", 3),
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
        let line = Line { label: "<x>".to_owned(), points, marks: vec![0.5, f64::NAN] };
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
    fn linear_axes_have_whole_ticks() {
        let axis = Axis::from_zero("s", 60);
        assert_eq!(axis.ticks.len(), 11);
        assert_eq!(axis.place(15.0), 0.25);
        assert_eq!(Axis::from_zero("s", 0).to, 1.0);
    }
}
