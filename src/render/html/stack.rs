//! The stacks before and after a plan, drawn.

use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

use super::graph::{self, Graph, Mark, Node};
use crate::plan::document::Document;
use crate::render::escape::Text;
use crate::text::push_line;
use crate::text::width;

/// More devices than this are not read as a drawing any more.
const MOST_NODES: usize = 120;

const BOX_WIDTH: usize = 152;
const BOX_HEIGHT: usize = 46;
const GAP: usize = 14;
const RISE: usize = 40;
/// How many columns of text a box holds.
const COLUMNS: usize = 19;

/// Draws both.
pub fn draw(out: &mut String, plan: &Document) {
    let (before, after) = graph::both(plan);
    out.push_str("<section>\n<h2>The stacks, before and after</h2>\n");
    let most = before.nodes.len().max(after.nodes.len());
    if most > MOST_NODES {
        push_line!(out, "<p class=\"facts\">{most} devices are too many to draw.</p>");
    } else {
        out.push_str("<div class=\"stacks\">\n");
        figure(out, "before", before);
        figure(out, "after", after);
        out.push_str("</div>\n");
    }
    out.push_str("</section>\n");
}

fn figure(out: &mut String, when: &str, graph: Graph) {
    push_line!(out, "<figure><figcaption>{when}</figcaption>");
    if graph.nodes.is_empty() {
        out.push_str("<p class=\"facts\">none of these devices</p>\n");
    }
    out.push_str("<div class=\"parts\">\n");
    for part in graph.parts() {
        svg(out, when, &part);
    }
    out.push_str("</div></figure>\n");
}

fn svg(out: &mut String, when: &str, graph: &Graph) {
    let rows = rows(graph);
    let columns = rows.iter().map(Vec::len).max().unwrap_or(1).max(1);
    let (width, height) =
        (columns * (BOX_WIDTH + GAP) - GAP + 4, rows.len() * (BOX_HEIGHT + RISE) - RISE + 4);
    // On a narrow screen it shrinks, but not so far that nobody can read it.
    let least = width * 6 / 10;
    let mut places = BTreeMap::new();
    for (level, row) in rows.iter().enumerate() {
        let free = (columns - row.len()) * (BOX_WIDTH + GAP) / 2;
        for (index, id) in row.iter().enumerate() {
            let y = (rows.len() - 1 - level) * (BOX_HEIGHT + RISE) + 2;
            places.insert(*id, (2 + free + index * (BOX_WIDTH + GAP), y));
        }
    }
    push_line!(
        out,
        "<svg style=\"min-width:{least}px\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"the stacks {when}\">"
    );
    for (upper, lower) in &graph.edges {
        if let (Some((x1, y1)), Some((x2, y2))) = (places.get(upper.as_str()), places.get(lower.as_str())) {
            let (x1, y1, x2) = (x1 + BOX_WIDTH / 2, y1 + BOX_HEIGHT, x2 + BOX_WIDTH / 2);
            let middle = usize::midpoint(y1, *y2);
            push_line!(out, "<path class=\"edge\" d=\"M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}\"/>");
        }
    }
    for (id, (x, y)) in &places {
        if let Some(node) = graph.nodes.get(*id) {
            draw_node(out, node, *x, *y);
        }
    }
    out.push_str("</svg>\n");
}

fn draw_node(out: &mut String, node: &Node, x: usize, y: usize) {
    let class = match node.mark {
        Mark::Plain => "",
        Mark::Settled => " renamed",
        Mark::Changed => " changed",
        Mark::Added => " added",
        Mark::Removed => " removed",
    };
    let middle = x + BOX_WIDTH / 2;
    push_line!(
        out,
        "<g><title>{full}</title><rect class=\"node{class}\" x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"7\"/>\
         <text x=\"{middle}\" y=\"{label_y}\" text-anchor=\"middle\">{label}</text>\
         <text class=\"small\" x=\"{middle}\" y=\"{detail_y}\" text-anchor=\"middle\">{detail}</text></g>",
        full = Text(&format!("{} {}", node.label, node.detail)),
        label = Text(&short(&node.label)),
        detail = Text(&short(&node.detail)),
        label_y = y + 20,
        detail_y = y + 36,
    );
}

/// A name that fits into its box: of a long one the end counts, where paths differ.
fn short(name: &str) -> String {
    let name = crate::identity::printable(name);
    if name.width() <= COLUMNS {
        return name.into_owned();
    }
    let mut tail = String::new();
    for character in name.chars().rev() {
        if width(&tail) + 2 > COLUMNS {
            break;
        }
        tail.insert(0, character);
    }
    format!("\u{2026}{tail}")
}

/// The devices level by level from the lowest, each level in an order that crosses few lines.
fn rows(graph: &Graph) -> Vec<Vec<&str>> {
    let levels = graph.levels();
    let mut rows: Vec<Vec<&str>> = Vec::new();
    for (id, level) in &levels {
        if rows.len() <= *level {
            rows.resize(level + 1, Vec::new());
        }
        rows[*level].push(id);
    }
    rows.retain(|row| !row.is_empty());
    // What stands on the same devices stands side by side, and those below follow.
    for level in 1..rows.len() {
        let (below, here) = rows.split_at_mut(level);
        order(&mut here[0], &below[level - 1], |id, other| graph.edges.contains(&(id.into(), other.into())));
    }
    for level in (0..rows.len().saturating_sub(1)).rev() {
        let (here, above) = rows.split_at_mut(level + 1);
        order(&mut here[level], &above[0], |id, other| graph.edges.contains(&(other.into(), id.into())));
    }
    rows
}

/// Sorts a row by where its neighbours stand in another one, on average.
fn order(row: &mut [&str], fixed: &[&str], joined: impl Fn(&str, &str) -> bool) {
    row.sort_by_cached_key(|id| {
        let places: Vec<usize> =
            fixed.iter().enumerate().filter(|(_, other)| joined(id, other)).map(|(place, _)| place).collect();
        if places.is_empty() { usize::MAX } else { places.iter().sum::<usize>() * 1000 / places.len() }
    });
}
