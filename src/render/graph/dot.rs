//! Draws a graph in the language of Graphviz: an arrow leads from each device to each of its lower devices.

use super::labels::{Tone, facts, name, remarks, tone};
use crate::graph::Graph;
use crate::identity::printable;
use crate::text::push_line;

/// Writes a `digraph` of Graphviz, with a line break at its end.
pub fn dot(graph: &Graph) -> String {
    let mut out = "digraph dmctl {\n  rankdir = RL;\n  node [shape = box, style = \"rounded,filled\", fontname = \"sans-serif\"];\n".to_string();
    for node in &graph.nodes {
        let lines = [vec![name(node), facts(node)], remarks(node)].concat();
        let label: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        let fill = match tone(node) {
            Tone::Ground => "#e8e8e8",
            Tone::Calm => "#dcefdc",
            Tone::Foreign => "#ffffff",
            Tone::Pending => "#fff1c9",
            Tone::Alarm => "#f9d6d6",
        };
        push_line!(
            out,
            "  \"{}\" [label = \"{}\", fillcolor = \"{fill}\"];",
            escaped(&node.id),
            label.join("\\n")
        );
    }
    for node in &graph.nodes {
        for lower in &node.below {
            push_line!(out, "  \"{}\" -> \"{}\";", escaped(&node.id), escaped(lower));
        }
    }
    out + "}\n"
}

/// Writes a text to stand in quotes: what would act on a terminal, backslashes and quotes are escaped.
fn escaped(text: &str) -> String {
    printable(text).replace('\\', "\\\\").replace('"', "\\\"")
}
