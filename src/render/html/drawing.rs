//! Draws the stacks before and after a plan.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::graph::{self, DeviceId, Mark, Node, Picture};
use crate::identity::printable;
use crate::plan::document::Document;
use crate::render::boxes::{Align, Label, Place, Style, curve, end_of};
use crate::stack::{IndexVec, Stacks};
use crate::text::push_line;

/// The most devices that can be read as a drawing.
const MAX_NODES: usize = 120;

const BOX_WIDTH: usize = 152;
const BOX_HEIGHT: usize = 46;
const GAP: usize = 14;
const RISE: usize = 40;
/// The columns of text that a box holds.
const COLUMNS: usize = 19;

/// The look of the boxes.
const BOXES: Style = Style { corner: 7, first_line: 20, line: 16, align: Align::Middle };

/// Draws both moments, or tells that there are too many devices.
pub(crate) fn draw(out: &mut String, plan: &Document) {
    let (before, after) = graph::both(plan);
    out.push_str("<section>\n<h2>The stacks, before and after</h2>\n");
    let count = before.devices.len().max(after.devices.len());
    if count > MAX_NODES {
        push_line!(out, "<p class=\"facts\">{count} devices are too many to draw.</p>");
    } else {
        out.push_str("<div class=\"stacks\">\n");
        figure(out, "before", &before);
        figure(out, "after", &after);
        out.push_str("</div>\n");
    }
    out.push_str("</section>\n");
}

fn figure(out: &mut String, when: &str, picture: &Picture) {
    push_line!(out, "<figure><figcaption>{when}</figcaption>");
    if picture.devices.is_empty() {
        out.push_str("<p class=\"facts\">none of these devices</p>\n");
    }
    out.push_str("<div class=\"parts\">\n");
    let levels = picture.stacks.levels();
    let mut parts = picture.stacks.parts();
    parts.sort_by_key(|part| Reverse(part.len()));
    for part in parts {
        svg(out, when, picture, &rows(&picture.stacks, &levels, part));
    }
    out.push_str("</div></figure>\n");
}

/// Draws one part, whose devices are in rows from the lowest up.
fn svg(out: &mut String, when: &str, picture: &Picture, rows: &[Vec<DeviceId>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
    let (width, height) =
        (columns * (BOX_WIDTH + GAP) - GAP + 4, rows.len() * (BOX_HEIGHT + RISE) - RISE + 4);
    // On a narrow screen the drawing shrinks, but not so far that it can't be read.
    let min_width = width * 6 / 10;
    let mut places = BTreeMap::new();
    for (level, row) in rows.iter().enumerate() {
        let free = (columns - row.len()) * (BOX_WIDTH + GAP) / 2;
        for (index, device) in row.iter().enumerate() {
            let (x, y) =
                (2 + free + index * (BOX_WIDTH + GAP), (rows.len() - 1 - level) * (BOX_HEIGHT + RISE) + 2);
            places.insert(*device, Place { x, y, width: BOX_WIDTH, height: BOX_HEIGHT });
        }
    }
    push_line!(
        out,
        "<svg style=\"min-width:{min_width}px\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"the stacks {when}\">"
    );
    for (device, upper) in &places {
        for lower in picture.stacks.below(*device) {
            edge(out, *upper, places[lower]);
        }
    }
    for (device, place) in &places {
        BOXES.draw(out, &label(&picture.devices[*device]), *place);
    }
    out.push_str("</svg>\n");
}

/// Draws a line from the middle below the upper device to the middle above the lower one.
fn edge(out: &mut String, upper: Place, lower: Place) {
    let (x1, y1) = (upper.x + BOX_WIDTH / 2, upper.y + BOX_HEIGHT);
    let (x2, y2) = (lower.x + BOX_WIDTH / 2, lower.y);
    let middle = usize::midpoint(y1, y2);
    curve(out, " class=\"edge\"", [(x1, y1), (x1, middle), (x2, middle), (x2, y2)]);
}

/// Returns the label of a device.
fn label(node: &Node) -> Label {
    let class = match node.mark {
        Mark::Plain => "",
        Mark::Settled => " renamed",
        Mark::Changed => " changed",
        Mark::Added => " added",
        Mark::Removed => " removed",
    };
    Label {
        group: String::new(),
        frame: format!(" class=\"node{class}\""),
        whole: format!("{} {}", node.label, node.detail),
        lines: [&node.label, &node.detail].map(|line| end_of(&printable(line), COLUMNS)).into(),
    }
}

/// Sorts the devices of a part into rows by level, each row in an order that crosses few lines.
fn rows(
    stacks: &Stacks<DeviceId>,
    levels: &IndexVec<DeviceId, usize>,
    part: Vec<DeviceId>,
) -> Vec<Vec<DeviceId>> {
    let mut rows: Vec<Vec<DeviceId>> = Vec::new();
    for device in part {
        let level = levels[device];
        if rows.len() <= level {
            rows.resize(level + 1, Vec::new());
        }
        rows[level].push(device);
    }
    // Upwards, devices that share lower devices come next to each other. Then downwards, each row follows the upper one.
    for level in 1..rows.len() {
        let (below, here) = rows.split_at_mut(level);
        order(&mut here[0], &below[level - 1], |device| stacks.below(device));
    }
    for level in (0..rows.len().saturating_sub(1)).rev() {
        let (here, above) = rows.split_at_mut(level + 1);
        order(&mut here[level], &above[0], |device| stacks.above(device));
    }
    rows
}

/// Sorts a row by the mean position in `fixed` of the devices that each is joined to.
fn order<'s>(row: &mut [DeviceId], fixed: &[DeviceId], joined: impl Fn(DeviceId) -> &'s [DeviceId]) {
    row.sort_by_cached_key(|device| {
        let joined = joined(*device);
        let places: Vec<usize> =
            (0..).zip(fixed).filter(|(_, other)| joined.contains(other)).map(|(place, _)| place).collect();
        if places.is_empty() { usize::MAX } else { places.iter().sum::<usize>() * 1000 / places.len() }
    });
}
