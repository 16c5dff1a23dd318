//! The graph as a picture: a box for each placement's provider, a line for
//! each tunnel. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::graph::{End, Wire};
use super::{problem, state};
use crate::text;

/// Lengths in pixels.
const BOX_WIDTH: usize = 240;
const GAP: usize = 200;
const NODE_HEIGHT: usize = 44;
const NODE_GAP: usize = 28;
const HEAD: usize = 64;
const MARGIN: usize = 32;

/// Draws the wires.
pub fn draw(wires: &[Wire]) -> String {
    let places = places(wires);
    let columns = places.values().map(|(column, _)| column + 1).max().unwrap_or(0);
    let rows = places.values().map(|(_, row)| row + 1).max().unwrap_or(0);
    let width = MARGIN * 2 + columns * BOX_WIDTH + columns.saturating_sub(1) * GAP;
    let height = MARGIN * 2 + HEAD + rows * (NODE_HEIGHT + NODE_GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    boxes(&mut svg, &places, height);
    for wire in wires {
        line(&mut svg, wire, &places);
    }
    for (end, at) in &places {
        node(&mut svg, end, *at);
    }
    svg.push_str("</svg>\n");
    svg
}

type Places = BTreeMap<End, (usize, usize)>;

/// A column for each placement, a row for each service in it.
fn places(wires: &[Wire]) -> Places {
    let ends: BTreeSet<&End> = wires.iter().flat_map(|wire| [&wire.from, &wire.to]).collect();
    let mut columns: Vec<(&str, &str)> = vec![];
    let mut rows: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut places = Places::new();
    for end in ends {
        let key = (end.placement.as_str(), end.provider.as_str());
        let column = columns.iter().position(|known| *known == key).unwrap_or_else(|| {
            columns.push(key);
            columns.len() - 1
        });
        let row = rows.entry(key).or_default();
        places.insert(end.clone(), (column, *row));
        *row += 1;
    }
    places
}

fn boxes(svg: &mut String, places: &Places, height: usize) {
    let heads: BTreeMap<usize, &End> = places.iter().map(|(end, (c, _))| (*c, end)).collect();
    for (column, end) in heads {
        let (x, height) = (MARGIN + column * (BOX_WIDTH + GAP), height - MARGIN * 2);
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{MARGIN}\" width=\"{BOX_WIDTH}\" height=\"{height}\" rx=\"8\" \
             fill=\"#f4f6f8\" stroke=\"#c5ccd3\"/>\n\
             <text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>\n\
             <text x=\"{}\" y=\"{}\" fill=\"#5a6672\">{}</text>",
            x + 16,
            MARGIN + 24,
            escaped(&end.placement),
            x + 16,
            MARGIN + 44,
            escaped(&text::short(&end.provider)),
        );
    }
}

fn node(svg: &mut String, end: &End, at: (usize, usize)) {
    let (x, y) = corner(at);
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{NODE_HEIGHT}\" rx=\"6\" \
         fill=\"#ffffff\" stroke=\"#3a4652\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        BOX_WIDTH - 32,
        x + (BOX_WIDTH - 32) / 2,
        y + 27,
        escaped(&end.service),
    );
}

fn line(svg: &mut String, wire: &Wire, places: &Places) {
    let Some((from, to)) = places.get(&wire.from).zip(places.get(&wire.to)) else { return };
    let ((fx, fy), (tx, ty)) = (corner(*from), corner(*to));
    let width = BOX_WIDTH - 32;
    let (fy, ty) = (fy + NODE_HEIGHT / 2, ty + NODE_HEIGHT / 2);
    // Within a column the line bows out to the right.
    let (fx, tx, bow) = match from.0.cmp(&to.0) {
        std::cmp::Ordering::Less => (fx + width, tx, 0),
        std::cmp::Ordering::Greater => (fx, tx + width, 0),
        std::cmp::Ordering::Equal => (fx + width, tx + width, GAP / 2),
    };
    let (middle, half) = ((fx + tx) / 2 + bow, (fy + ty) / 2);
    let (colour, dash) = match state(wire) {
        "up" => ("#1a7f37", ""),
        "down" => ("#c62828", " stroke-dasharray=\"6 4\""),
        _ => ("#8a6d00", " stroke-dasharray=\"2 4\""),
    };
    let words = match problem(wire) {
        text if text.is_empty() => state(wire).to_string(),
        text => format!("{}: {text}", state(wire)),
    };
    let _ = writeln!(
        svg,
        "<path d=\"M {fx} {fy} C {middle} {fy} {middle} {ty} {tx} {ty}\" fill=\"none\" \
         stroke=\"{colour}\" stroke-width=\"2\"{dash}><title>{}</title></path>\n\
         <circle cx=\"{tx}\" cy=\"{ty}\" r=\"4\" fill=\"{colour}\"/>\n\
         <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\" fill=\"{colour}\">{}/{}</text>",
        escaped(&words),
        half.saturating_sub(6),
        wire.port,
        escaped(&wire.transport),
    );
}

/// The upper left corner of a service's box.
fn corner((column, row): (usize, usize)) -> (usize, usize) {
    let x = MARGIN + column * (BOX_WIDTH + GAP) + 16;
    (x, MARGIN + HEAD + row * (NODE_HEIGHT + NODE_GAP))
}

fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '&' => "&amp;".to_string(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        c if c.is_control() => " ".into(),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_is_a_box_and_each_tunnel_a_line_and_no_text_is_markup() {
        let end = |placement: &str, service: &str| End {
            provider: "stoa1p".into(),
            placement: placement.into(),
            service: service.into(),
        };
        let wire = Wire {
            from: end("here", "web"),
            to: end("<there>", "api"),
            port: 80,
            transport: "tcp".into(),
            outgoing: None,
            incoming: None,
        };
        let inside = Wire { to: end("here", "cache"), ..wire.clone() };
        let svg = draw(&[wire, inside]);
        assert_eq!(svg.matches("<path ").count(), 2);
        for text in [">web</text>", ">api</text>", ">cache</text>", "&lt;there&gt;", ">80/tcp<"] {
            assert!(svg.contains(text), "{text} in {svg}");
        }
        assert!(draw(&[]).starts_with("<svg "));
    }
}
