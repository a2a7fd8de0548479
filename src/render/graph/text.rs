//! A tree of lines, as `lsblk` draws one: disks to the left, what stands on them below and to the right.
//!
//! A device that stands on several is there once below each; what stands on it is drawn the first time.

use anstyle::AnsiColor;

use super::labels::{Tone, kinds, name, remarks, size, tone};
use crate::graph::{Graph, Node, NodeId};
use crate::render::ColorMode;
use crate::stack::{IndexVec, Position, Stacks};
use crate::text::push_line;
use crate::text::{pad, width};

/// A line of the tree.
struct Line<'g> {
    /// Branches and name.
    tree: String,
    /// The device.
    node: &'g Node,
    /// Whether it was drawn before, with what stands on it.
    again: bool,
}

/// Draws it.
#[must_use]
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
    /// Draws a device and all that stands on it. A stack is as deep as somebody made it, so nothing here calls
    /// itself.
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
            let number = if node.id.starts_with('@') { "-".to_string() } else { node.id.clone() };
            [line.tree.clone(), number, size(node), kinds(node)]
        })
        .collect();
    let widest = |column: usize| columns.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let widths = [widest(0), widest(1), widest(2), widest(3)];
    let mut out = String::new();
    for (line, row) in lines.iter().zip(&columns) {
        let node = line.node;
        let mut said = remarks(node).join("  ");
        if line.again {
            said = format!("(above)  {said}");
        }
        let said = match tone(node) {
            Tone::Ground | Tone::Calm | Tone::Foreign => said,
            Tone::Pending => mode.with(&said, AnsiColor::Yellow),
            Tone::Alarm => mode.with(&said, AnsiColor::Red),
        };
        let [tree, number, size, kinds] = row;
        let blanks = " ".repeat(widths[2].saturating_sub(width(size)));
        let columns =
            [pad(tree, widths[0]), pad(number, widths[1]), format!("{blanks}{size}"), pad(kinds, widths[3])];
        push_line!(out, "{}", format!("{}  {said}", columns.join("  ")).trim_end());
    }
    out
}
