//! A plan as a drawing: chains as boxes, from left to right as records pass, with exchanges as arrows.

use std::fmt::Write as _;

use super::{ExchangeId, OpNode, Plan, Role};

/// Lengths in pixels. A letter is so wide in the font that is asked for.
const LETTER: usize = 8;
const LINE: usize = 26;
const PADDING: usize = 12;
const HEAD: usize = 24;
const GAP_X: usize = 150;
const GAP_Y: usize = 36;
const MARGIN: usize = 24;
const TITLE: usize = 40;

/// A chain's box.
struct Place {
    layer: usize,
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// Draws a plan, as an SVG file.
pub(super) fn draw(plan: &Plan, job: &str) -> String {
    let places = places(plan);
    let width = places.iter().map(|place| place.x + place.width).max().unwrap_or(0) + MARGIN;
    let height = places.iter().map(|place| place.y + place.height).max().unwrap_or(0) + MARGIN;
    let width = width.max(2 * MARGIN + LETTER * (job.chars().count() + 4));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"13\">\n"
    );
    svg.push_str(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto-start-reverse\"><path d=\"M0,0 L10,5 L0,10 z\" fill=\"#57606a\"/></marker></defs>\n",
    );
    let _ = writeln!(svg, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>");
    let _ = writeln!(
        svg,
        "<text x=\"{MARGIN}\" y=\"{}\" font-size=\"15\" font-weight=\"bold\" fill=\"#1f2328\">job {}</text>",
        TITLE - 12,
        escaped(job)
    );
    for (number, place) in places.iter().enumerate() {
        chain(&mut svg, plan, number, place);
    }
    for exchange in (0..plan.exchanges.len()).map(ExchangeId) {
        arrow(&mut svg, plan, exchange, &places);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The boxes of all chains: in layers, by the longest way from a source; and then as near to what reads them as that allows.
fn places(plan: &Plan) -> Vec<Place> {
    let reads = |from: usize, to: usize| {
        let mut exchanges = plan.exchanges.iter().enumerate();
        exchanges.any(|(exchange, node)| {
            let head = plan.chains[to].ops[0];
            node.to.is_some_and(|(op, _)| op == head) && plan.chains[from].writes(ExchangeId(exchange))
        })
    };
    let mut places: Vec<Place> = Vec::new();
    // What a chain reads is written by an earlier one.
    for (number, chain) in plan.chains.iter().enumerate() {
        let ends = (0..number).filter(|from| reads(*from, number));
        let layer = ends.map(|from| places[from].layer + 1).max().unwrap_or(0);
        let letters = chain.ops.iter().map(|op| plan.name(*op).chars().count()).max().unwrap_or(0);
        let width = (letters.max("chain 00, 00 of 00 shards".len()) * LETTER) + 4 * PADDING;
        let height = HEAD + chain.ops.len() * (LINE + 6) + PADDING;
        places.push(Place { layer, x: 0, y: 0, width, height });
    }
    for from in (0..places.len()).rev() {
        let readers = (from + 1..places.len()).filter(|to| reads(from, *to));
        if let Some(first) = readers.map(|to| places[to].layer).min() {
            places[from].layer = first - 1;
        }
    }
    let layers = places.iter().map(|place| place.layer + 1).max().unwrap_or(0);
    let mut x = MARGIN;
    for layer in 0..layers {
        let mut y = MARGIN + TITLE;
        let mut widest = 0;
        for place in places.iter_mut().filter(|place| place.layer == layer) {
            (place.x, place.y) = (x, y);
            y += place.height + GAP_Y;
            widest = widest.max(place.width);
        }
        x += widest + GAP_X;
    }
    places
}

fn chain(svg: &mut String, plan: &Plan, number: usize, place: &Place) {
    let Place { x, y, width, height, .. } = place;
    let chain = &plan.chains[number];
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#f6f8fa\" stroke=\"#8c959f\"/>"
    );
    let shards = match (chain.on.len(), plan.shards.count) {
        (on, all) if on == usize::from(all) => match all {
            1 => String::new(),
            all => format!(", {all} shards"),
        },
        (on, all) => format!(", {on} of {all} shards"),
    };
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" font-size=\"11\" fill=\"#57606a\">chain {number}{shards}</text>",
        x + PADDING,
        y + 16
    );
    for (line, op) in chain.ops.iter().enumerate() {
        let node = &plan.ops[usize::from(op.0)];
        let top = y + HEAD + line * (LINE + 6);
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{LINE}\" rx=\"5\" fill=\"{}\" stroke=\"#afb8c1\">\
             <title>{}</title></rect>",
            x + PADDING,
            width - 2 * PADDING,
            color(node),
            escaped(node.note.as_deref().unwrap_or(&node.name))
        );
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"#1f2328\">{}</text>",
            x + 2 * PADDING,
            top + 18,
            escaped(&node.name)
        );
    }
}

/// Sources are green, sinks blue, what keeps state is yellow, the rest white.
fn color(op: &OpNode) -> &'static str {
    match op.role {
        Role::Source(_) => "#dafbe1",
        Role::Sink(_) => "#ddf4ff",
        Role::Inner if op.stateful => "#fff8c5",
        Role::Inner => "#ffffff",
    }
}

fn arrow(svg: &mut String, plan: &Plan, exchange: ExchangeId, places: &[Place]) {
    let node = &plan.exchanges[exchange.0];
    let Some((to, port)) = node.to else { return };
    let inputs = plan.exchanges.iter().filter(|other| other.to.is_some_and(|(op, _)| op == to)).count();
    let number = |is: &dyn Fn(&super::ChainNode) -> bool| plan.chains.iter().position(is);
    let (Some(from), Some(to)) =
        (number(&|chain| chain.writes(exchange)), number(&|chain| chain.ops[0] == to))
    else {
        return;
    };
    // From the operator that writes it to the head of the chain that reads it.
    let line = plan.chains[from].ops.iter().position(|op| *op == node.from).unwrap_or(0);
    let (x1, y1) =
        (places[from].x + places[from].width, places[from].y + HEAD + line * (LINE + 6) + LINE / 2);
    // Each input ends at a place of its own.
    let end = (usize::from(port.0) + 1) * LINE / (inputs + 1);
    let (x2, y2) = (places[to].x, places[to].y + HEAD + end);
    let middle = (x1 + x2) / 2;
    let _ = writeln!(
        svg,
        "<path d=\"M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}\" fill=\"none\" stroke=\"#57606a\" \
         marker-end=\"url(#arrow)\"/>"
    );
    let label = plan.label(exchange);
    let (half, at) = (label.chars().count() * LETTER / 2 + 4, (y1 + y2) / 2);
    let _ = writeln!(
        svg,
        "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"16\" rx=\"3\" fill=\"#ffffff\"/>\
         <text x=\"{middle}\" y=\"{}\" font-size=\"11\" text-anchor=\"middle\" fill=\"#57606a\">{}</text>",
        middle - half,
        at - 8,
        2 * half,
        at + 4,
        escaped(&label)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_drawing() {
        assert_eq!(escaped("a<b & \"c\">"), "a&lt;b &amp; &quot;c&quot;&gt;");
    }
}
