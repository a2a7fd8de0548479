//! Draws a graph in SVG: disks to the left, upper devices to the right, and a line for each use of a lower device.
//!
//! Each device is placed to the right of one of its lower devices. So a drawing grows downwards with the number of
//! devices, like a list, and can be read at any number.

use super::labels::{Tone, facts, name, remarks, tone};
use crate::graph::{Graph, Node, NodeId};
use crate::render::boxes::{Align, Label, Place, Style, curve, end_of, start_of};
use crate::stack::{IndexVec, Stacks};

const BOX_WIDTH: usize = 250;
const LINE: usize = 15;
const GAP: usize = 10;
const BETWEEN: usize = 60;
const MARGIN: usize = 16;
/// The height of a device without an upper device to its right, with the gap.
const SLOT: usize = 3 * LINE + 6 + GAP;
/// The columns of text that a box holds: of a name, and of the smaller lines below it.
const NAME_COLUMNS: usize = 32;
const COLUMNS: usize = 35;

/// The style; the colours are light or dark as the reader's screen prefers.
const STYLE: &str = "\
svg{background:#fff;font:12px ui-monospace,monospace;color-scheme:light dark}\
rect{fill:#fff;stroke:#777}text{fill:#111}.small{fill:#555;font-size:11px}path{fill:none;stroke:#999}\
.ground rect{fill:#e8e8e8}.calm rect{fill:#dcefdc;stroke:#3b7a3b}\
.pending rect{fill:#fff1c9;stroke:#9a6b00;stroke-width:2}.alarm rect{fill:#f9d6d6;stroke:#b00020;stroke-width:2}\
@media(prefers-color-scheme:dark){svg{background:#16181d}rect{fill:#22252c;stroke:#888}text{fill:#eee}.small{fill:#aaa}\
.ground rect{fill:#33373f}.calm rect{fill:#1f3524}.pending rect{fill:#453712}.alarm rect{fill:#4b1d22}}";

/// The look of the boxes.
const BOXES: Style = Style { corner: 5, first_line: 14, line: LINE, align: Align::Left };

/// Draws boxes and arrows as one SVG element, which loads nothing.
pub fn svg(graph: &Graph) -> String {
    let stacks = graph.stacks();
    let labels: IndexVec<NodeId, Label> = graph.nodes.iter().map(label).collect();
    let places = layout(&labels, &stacks);
    let width = places.iter().map(|place| place.x + BOX_WIDTH).max().unwrap_or(0) + MARGIN;
    let height = places.iter().map(|place| place.y + place.height).max().unwrap_or(0) + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"devices, each above its lower devices\">\n<style>{STYLE}</style>\n"
    );
    for upper in stacks.positions() {
        for lower in stacks.below(upper) {
            edge(&mut out, places[*lower], places[upper]);
        }
    }
    for (label, place) in labels.iter().zip(&places) {
        BOXES.draw(&mut out, label, *place);
    }
    out + "</svg>\n"
}

/// Draws a line from the right of the lower device to the left of the upper one.
fn edge(out: &mut String, lower: Place, upper: Place) {
    let (x1, y1) = (lower.x + BOX_WIDTH, lower.y + lower.height / 2);
    let (x2, y2) = (upper.x, upper.y + upper.height / 2);
    // The bend is close to the upper device, so that a long line keeps clear of the devices between.
    let bend = x2.saturating_sub(BETWEEN / 2);
    curve(out, "", [(x1, y1), (bend, y1), (bend, y2), (x2, y2)]);
}

/// Returns the label of a device.
fn label(node: &Node) -> Label {
    let class = match tone(node) {
        Tone::Ground => "ground",
        Tone::Calm => "calm",
        Tone::Foreign => "foreign",
        Tone::Pending => "pending",
        Tone::Alarm => "alarm",
    };
    let (name, facts, remarks) = (name(node), facts(node), remarks(node));
    let mut lines = vec![end_of(&name, NAME_COLUMNS), start_of(&facts, COLUMNS)];
    lines.extend((!remarks.is_empty()).then(|| start_of(&remarks.join("  "), COLUMNS)));
    let whole = [vec![name, facts], remarks].concat().join("\n");
    Label { group: format!(" class=\"{class}\""), frame: String::new(), whole, lines }
}

/// Places each device: in the column of its level, and in the height of its upper devices to the right.
fn layout(labels: &IndexVec<NodeId, Label>, stacks: &Stacks<NodeId>) -> IndexVec<NodeId, Place> {
    let levels = stacks.levels();
    let mut beside = IndexVec::filled(Vec::new(), stacks.len());
    let mut roots = Vec::new();
    for place in stacks.positions() {
        // To the right of its highest lower device; in a circle, only of one that comes before it.
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
        // Each device without upper devices to its right gets a slot. Then each other one is centred on those to its right,
        // upper devices first.
        let height_of = |place: NodeId| labels[place].lines.len() * LINE + 6;
        for place in &order {
            let x = MARGIN + levels[*place] * (BOX_WIDTH + BETWEEN);
            let height = height_of(*place);
            places[*place] = Place { x, y: y + (SLOT - GAP - height) / 2, width: BOX_WIDTH, height };
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
