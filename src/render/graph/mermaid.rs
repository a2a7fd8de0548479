//! Draws a graph in the language of Mermaid, which many sites draw by themselves.

use super::labels::{Tone, facts, name, remarks, tone};
use crate::graph::Graph;
use crate::stack::Position;
use crate::text::{push, push_line};

/// Writes a `flowchart` of Mermaid, with a line break at its end.
pub fn mermaid(graph: &Graph) -> String {
    let mut out = "flowchart RL\n".to_string();
    for (place, node) in graph.nodes.iter().enumerate() {
        let lines = [vec![name(node), facts(node)], remarks(node)].concat();
        let label: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        let class = match tone(node) {
            Tone::Ground => "ground",
            Tone::Calm => "calm",
            Tone::Foreign => "foreign",
            Tone::Pending => "pending",
            Tone::Alarm => "alarm",
        };
        push_line!(out, "  n{place}[\"{}\"]:::{class}", label.join("<br/>"));
    }
    let stacks = graph.stacks();
    for node in stacks.positions() {
        for lower in stacks.below(node) {
            push_line!(out, "  n{} --> n{}", node.index(), lower.index());
        }
    }
    for (class, fill) in [
        ("ground", "e8e8e8"),
        ("calm", "dcefdc"),
        ("foreign", "ffffff"),
        ("pending", "fff1c9"),
        ("alarm", "f9d6d6"),
    ] {
        push_line!(out, "  classDef {class} fill:#{fill},stroke:#555,color:#111");
    }
    out
}

/// Quotes a text. Characters with a meaning to Mermaid or to the page are written as numbers.
fn escaped(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || " .,:/+-_=@()\u{b7}".contains(c);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if plain(character) {
            escaped.push(character);
        } else {
            push!(escaped, "#{};", u32::from(character));
        }
    }
    escaped
}
