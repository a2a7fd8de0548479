//! A tree of lines, as `lsblk` draws one: disks to the left, what stands on them below and to the right.
//!
//! A device that stands on several is there once below each; what stands on it is drawn the first time.

use anstyle::AnsiColor;

use super::{Tone, kinds, name, remarks, size, tone};
use crate::graph::Graph;
use crate::render::Paint;
use crate::text::push_line;
use crate::text::{pad, width};

/// A line of the tree.
struct Line {
    /// Branches and name.
    tree: String,
    /// Which device.
    place: usize,
    /// Whether it was drawn before, with what stands on it.
    again: bool,
}

/// Draws it.
#[must_use]
pub fn text(graph: &Graph, paint: Paint) -> String {
    let above = graph.above();
    let places = graph.places();
    let stands = |place: usize| graph.nodes[place].below.iter().any(|id| places.contains_key(id.as_str()));
    let mut tree = Tree { graph, above, drawn: vec![false; graph.nodes.len()], lines: Vec::new() };
    for root in (0..graph.nodes.len()).filter(|place| !stands(*place)) {
        tree.grow(root);
    }
    // What stands in a circle has no bottom.
    for place in 0..graph.nodes.len() {
        if !tree.drawn[place] {
            tree.grow(place);
        }
    }
    lines(graph, &tree.lines, paint)
}

struct Tree<'g> {
    graph: &'g Graph,
    above: Vec<Vec<usize>>,
    drawn: Vec<bool>,
    lines: Vec<Line>,
}

impl Tree<'_> {
    /// Draws a device and all that stands on it. A stack is as deep as somebody made it, so nothing here calls
    /// itself.
    fn grow(&mut self, root: usize) {
        let mut left = vec![(root, String::new(), String::new())];
        while let Some((place, first, rest)) = left.pop() {
            let again = std::mem::replace(&mut self.drawn[place], true);
            self.lines.push(Line {
                tree: format!("{first}{}", name(&self.graph.nodes[place])),
                place,
                again: again && !self.above[place].is_empty(),
            });
            if again {
                continue;
            }
            for (index, upper) in self.above[place].iter().enumerate().rev() {
                let last = index + 1 == self.above[place].len();
                let (branch, trunk) = if last { ("└─", "  ") } else { ("├─", "│ ") };
                left.push((*upper, format!("{rest}{branch}"), format!("{rest}{trunk}")));
            }
        }
    }
}

fn lines(graph: &Graph, lines: &[Line], paint: Paint) -> String {
    let columns: Vec<[String; 4]> = lines
        .iter()
        .map(|line| {
            let node = &graph.nodes[line.place];
            let number = if node.id.starts_with('@') { "-".to_string() } else { node.id.clone() };
            [line.tree.clone(), number, size(node), kinds(node)]
        })
        .collect();
    let widest = |column: usize| columns.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let widths = [widest(0), widest(1), widest(2), widest(3)];
    let mut out = String::new();
    for (line, row) in lines.iter().zip(&columns) {
        let node = &graph.nodes[line.place];
        let mut said = remarks(node).join("  ");
        if line.again {
            said = format!("(above)  {said}");
        }
        let said = match tone(node) {
            Tone::Ground | Tone::Calm | Tone::Foreign => said,
            Tone::Pending => paint.with(&said, AnsiColor::Yellow),
            Tone::Alarm => paint.with(&said, AnsiColor::Red),
        };
        let [tree, number, size, kinds] = row;
        let blanks = " ".repeat(widths[2].saturating_sub(width(size)));
        let columns =
            [pad(tree, widths[0]), pad(number, widths[1]), format!("{blanks}{size}"), pad(kinds, widths[3])];
        push_line!(out, "{}", format!("{}  {said}", columns.join("  ")).trim_end());
    }
    out
}
