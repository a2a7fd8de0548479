//! Draws a graph as a tree of lines, as `lsblk` does: disks to the left, upper devices below and to the right.
//!
//! A device with several lower devices has a line below each; its own upper devices follow the first line only.

use anstyle::AnsiColor;

use super::labels::{Tone, kinds, name, number, remarks, size, tone};
use crate::graph::{Graph, Node, NodeId};
use crate::render::ColorMode;
use crate::stack::{IndexVec, Position, Stacks};
use crate::text::push_line;
use crate::text::{pad, width};

/// A line of the tree.
struct Line<'g> {
    /// The branches and the name.
    tree: String,
    node: &'g Node,
    /// Whether the device has an earlier line, with its upper devices.
    again: bool,
}

/// Draws a tree of lines from each lowest device up; a device that was drawn before is one line.
pub fn text(graph: &Graph, mode: ColorMode) -> String {
    let stacks = graph.stacks();
    let drawn = IndexVec::filled(false, stacks.len());
    let mut tree = Tree { graph, stacks: &stacks, drawn, lines: Vec::new() };
    for root in stacks.positions().filter(|node| stacks.below(*node).is_empty()) {
        tree.grow(root);
    }
    // A circle has no lowest device.
    for node in stacks.positions() {
        if !tree.drawn[node] {
            tree.grow(node);
        }
    }
    lines(&tree.lines, mode)
}

struct Tree<'g> {
    graph: &'g Graph,
    stacks: &'g Stacks<NodeId>,
    drawn: IndexVec<NodeId, bool>,
    lines: Vec<Line<'g>>,
}

impl Tree<'_> {
    /// Draws a device and all devices above it. A stack may be of any depth, so this does not recurse.
    fn grow(&mut self, root: NodeId) {
        let mut left = vec![(root, String::new(), String::new())];
        while let Some((place, first, rest)) = left.pop() {
            let again = std::mem::replace(&mut self.drawn[place], true);
            let node = &self.graph.nodes[place.index()];
            let uppers = self.stacks.above(place);
            self.lines.push(Line {
                tree: format!("{first}{}", name(node)),
                node,
                again: again && !uppers.is_empty(),
            });
            if again {
                continue;
            }
            for (index, upper) in uppers.iter().enumerate().rev() {
                let last = index + 1 == uppers.len();
                let (branch, trunk) = if last { ("└─", "  ") } else { ("├─", "│ ") };
                left.push((*upper, format!("{rest}{branch}"), format!("{rest}{trunk}")));
            }
        }
    }
}

fn lines(lines: &[Line<'_>], mode: ColorMode) -> String {
    let columns: Vec<[String; 4]> = lines
        .iter()
        .map(|line| {
            let node = line.node;
            let number = number(node).unwrap_or("-").to_string();
            [line.tree.clone(), number, size(node), kinds(node)]
        })
        .collect();
    let widest = |column: usize| columns.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let widths = [widest(0), widest(1), widest(2), widest(3)];
    let mut out = String::new();
    for (line, row) in lines.iter().zip(&columns) {
        let node = line.node;
        let mut remarks = remarks(node).join("  ");
        if line.again {
            remarks = format!("(above)  {remarks}");
        }
        let remarks = match tone(node) {
            Tone::Ground | Tone::Calm | Tone::Foreign => remarks,
            Tone::Pending => mode.with(&remarks, AnsiColor::Yellow),
            Tone::Alarm => mode.with(&remarks, AnsiColor::Red),
        };
        let [tree, number, size, kinds] = row;
        let blanks = " ".repeat(widths[2].saturating_sub(width(size)));
        let columns =
            [pad(tree, widths[0]), pad(number, widths[1]), format!("{blanks}{size}"), pad(kinds, widths[3])];
        push_line!(out, "{}", format!("{}  {remarks}", columns.join("  ")).trim_end());
    }
    out
}
