//! A drawing: disks to the left, what stands on them to the right, a line for each device that stands on another.
//!
//! Each device is drawn beside the one it stands on first, and has as many lines as stand on it; so a drawing grows
//! downwards with the number of devices, like a list, and can be read at any number.

use super::{Tone, facts, name, remarks, tone};
use crate::graph::{Graph, Node, NodeId};
use crate::render::escape::Text;
use crate::stack::{IndexVec, Position, Stacks};
use crate::text::width;
use crate::text::{push, push_line};

const BOX_WIDTH: usize = 250;
const LINE: usize = 15;
const GAP: usize = 10;
const BETWEEN: usize = 60;
const MARGIN: usize = 16;
/// How much of the height a device takes that has nothing beside it.
const SLOT: usize = 3 * LINE + 6 + GAP;
/// How many columns of text a box holds: of a name, and of what is written smaller below it.
const NAME_COLUMNS: usize = 32;
const COLUMNS: usize = 35;

/// The look; the colours follow those of whoever looks.
const STYLE: &str = "\
svg{background:#fff;font:12px ui-monospace,monospace;color-scheme:light dark}\
rect{fill:#fff;stroke:#777}text{fill:#111}.small{fill:#555;font-size:11px}path{fill:none;stroke:#999}\
.ground rect{fill:#e8e8e8}.calm rect{fill:#dcefdc;stroke:#3b7a3b}\
.pending rect{fill:#fff1c9;stroke:#9a6b00;stroke-width:2}.alarm rect{fill:#f9d6d6;stroke:#b00020;stroke-width:2}\
@media(prefers-color-scheme:dark){svg{background:#16181d}rect{fill:#22252c;stroke:#888}text{fill:#eee}.small{fill:#aaa}\
.ground rect{fill:#33373f}.calm rect{fill:#1f3524}.pending rect{fill:#453712}.alarm rect{fill:#4b1d22}}";

/// Where a device is drawn.
#[derive(Clone, Copy, Default)]
struct Place {
    x: usize,
    y: usize,
    height: usize,
}

/// Draws it.
#[must_use]
pub fn svg(graph: &Graph) -> String {
    let stacks = graph.stacks();
    let places = layout(graph, &stacks);
    let width = places.iter().map(|place| place.x + BOX_WIDTH).max().unwrap_or(0) + MARGIN;
    let height = places.iter().map(|place| place.y + place.height).max().unwrap_or(0) + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"what stands on what\">\n<style>{STYLE}</style>\n"
    );
    for upper in stacks.positions() {
        for lower in stacks.below(upper) {
            edge(&mut out, places[*lower], places[upper]);
        }
    }
    for (node, place) in graph.nodes.iter().zip(&places) {
        draw(&mut out, node, *place);
    }
    out + "</svg>\n"
}

/// From the right of the lower device to the left of the upper one.
fn edge(out: &mut String, lower: Place, upper: Place) {
    let (x1, y1) = (lower.x + BOX_WIDTH, lower.y + lower.height / 2);
    let (x2, y2) = (upper.x, upper.y + upper.height / 2);
    // Close to the upper one, so that a line to a device further off keeps clear of those between.
    let bend = x2.saturating_sub(BETWEEN / 2);
    push_line!(out, "<path d=\"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}\"/>");
}

fn draw(out: &mut String, node: &Node, Place { x, y, height }: Place) {
    let class = match tone(node) {
        Tone::Ground => "ground",
        Tone::Calm => "calm",
        Tone::Foreign => "foreign",
        Tone::Pending => "pending",
        Tone::Alarm => "alarm",
    };
    let lines = lines(node);
    let whole = [vec![name(node), facts(node)], remarks(node)].concat().join("\n");
    push!(
        out,
        "<g class=\"{class}\"><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{height}\" rx=\"5\"/>",
        Text(&whole)
    );
    for (index, line) in lines.iter().enumerate() {
        let y = y + 14 + index * LINE;
        let (class, text) =
            if index == 0 { ("", end_of(line)) } else { (" class=\"small\"", start_of(line)) };
        push!(out, "<text{class} x=\"{}\" y=\"{y}\">{}</text>", x + 8, Text(&text));
    }
    out.push_str("</g>\n");
}

/// What stands in its box.
fn lines(node: &Node) -> Vec<String> {
    let mut lines = vec![name(node), facts(node)];
    let remarks = remarks(node).join("  ");
    lines.extend((!remarks.is_empty()).then_some(remarks));
    lines
}

/// Of a long name the end counts, where paths differ.
fn end_of(text: &str) -> String {
    let kept = fitting(text, NAME_COLUMNS, text.chars().rev());
    if kept == text.chars().count() {
        return text.to_string();
    }
    let skipped = text.chars().count() - kept;
    format!("\u{2026}{}", text.chars().skip(skipped).collect::<String>())
}

/// Of all else the beginning.
fn start_of(text: &str) -> String {
    let kept = fitting(text, COLUMNS, text.chars());
    if kept == text.chars().count() {
        return text.to_string();
    }
    format!("{}\u{2026}", text.chars().take(kept).collect::<String>())
}

/// How many characters fit into so many columns, with room for a mark if not all of them do.
fn fitting(text: &str, columns: usize, characters: impl Iterator<Item = char>) -> usize {
    if width(text) <= columns {
        return text.chars().count();
    }
    let mut room = columns - 1;
    characters
        .take_while(|character| {
            let left = room.checked_sub(width(character.encode_utf8(&mut [0; 4])));
            room = left.unwrap_or(0);
            left.is_some()
        })
        .count()
}

/// Each device as far to the right as it is above the lowest, and beside what stands on it first.
fn layout(graph: &Graph, stacks: &Stacks<NodeId>) -> IndexVec<NodeId, Place> {
    let levels = stacks.levels();
    let mut beside = IndexVec::filled(Vec::new(), stacks.len());
    let mut roots = Vec::new();
    for place in stacks.positions() {
        // Beside the highest of those it stands on; in a circle a device can't stand beside one that follows.
        let below = stacks.below(place).iter().filter(|lower| **lower < place);
        match below.max_by_key(|lower| (levels[**lower], std::cmp::Reverse(**lower))) {
            Some(lower) => beside[*lower].push(place),
            None => roots.push(place),
        }
    }
    let mut places = IndexVec::filled(Place::default(), stacks.len());
    let mut y = MARGIN;
    for root in roots {
        let mut left = vec![root];
        let mut order = Vec::new();
        while let Some(place) = left.pop() {
            order.push(place);
            left.extend(beside[place].iter().rev());
        }
        // From the lowest up: a device is as high as what stands beside it, and in the middle of that.
        let height_of = |place: NodeId| lines(&graph.nodes[place.index()]).len() * LINE + 6;
        for place in &order {
            let x = MARGIN + levels[*place] * (BOX_WIDTH + BETWEEN);
            let height = height_of(*place);
            places[*place] = Place { x, y: y + (SLOT - GAP - height) / 2, height };
            if beside[*place].is_empty() {
                y += SLOT;
            }
        }
        for place in order.iter().rev().filter(|place| !beside[**place].is_empty()) {
            let (first, last) = (beside[*place][0], beside[*place][beside[*place].len() - 1]);
            let middle = usize::midpoint(places[first].y, places[last].y + places[last].height);
            places[*place].y = middle.saturating_sub(places[*place].height / 2);
        }
        let end = order.iter().map(|place| places[*place].y + places[*place].height + GAP).max();
        y = y.max(end.unwrap_or(y));
    }
    places
}
