//! Devices as boxes with lines between them, in SVG: what the drawing of a graph and that of a plan are made of.
//!
//! Where the boxes stand is up to each drawing: one grows to the right like a list, for any number of devices; one grows
//! upwards, and fits beside another one on a page.

use super::escape::Text;
use crate::text::{push, push_line, width};

/// Where a box stands, in pixels from the left and the top.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// How lines of text stand in a box.
#[derive(Debug, Clone, Copy)]
pub enum Align {
    Left,
    Middle,
}

/// How all boxes of a drawing look.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The radius of the corners.
    pub corner: usize,
    /// How far below the top of a box the first line of text stands.
    pub first_line: usize,
    /// How far below each line of text the next one stands.
    pub line: usize,
    pub align: Align,
}

/// What is written in a box.
#[derive(Debug)]
pub struct Label {
    /// The attributes of the group of box and text.
    pub group: String,
    /// The attributes of the box.
    pub frame: String,
    /// All that can be told, which shows under a pointer.
    pub whole: String,
    /// The lines of text, cut to fit: the name, and what is written smaller below it.
    pub lines: Vec<String>,
}

impl Style {
    /// Draws a device.
    pub fn draw(self, out: &mut String, label: &Label, Place { x, y, width, height }: Place) {
        let Label { group, frame, whole, lines } = label;
        push!(
            out,
            "<g{group}><title>{}</title><rect{frame} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{}\"/>",
            Text(whole),
            self.corner
        );
        let (x, anchor) = match self.align {
            Align::Left => (x + 8, ""),
            Align::Middle => (x + width / 2, " text-anchor=\"middle\""),
        };
        for (index, line) in lines.iter().enumerate() {
            let y = y + self.first_line + index * self.line;
            let class = if index == 0 { "" } else { " class=\"small\"" };
            push!(out, "<text{class} x=\"{x}\" y=\"{y}\"{anchor}>{}</text>", Text(line));
        }
        out.push_str("</g>\n");
    }
}

/// Draws a line through four points: where it begins, where it bends twice, where it ends.
pub fn curve(out: &mut String, attributes: &str, [from, leave, arrive, to]: [(usize, usize); 4]) {
    push_line!(
        out,
        "<path{attributes} d=\"M{} {}C{} {} {} {} {} {}\"/>",
        from.0,
        from.1,
        leave.0,
        leave.1,
        arrive.0,
        arrive.1,
        to.0,
        to.1
    );
}

/// Cuts a name that is longer than `columns`. Its end is kept, where paths differ.
pub fn end_of(text: &str, columns: usize) -> String {
    let all = text.chars().count();
    match fitting(text, columns, text.chars().rev()) {
        kept if kept == all => text.to_string(),
        kept => format!("\u{2026}{}", text.chars().skip(all - kept).collect::<String>()),
    }
}

/// Cuts a text that is longer than `columns`. Its beginning is kept.
pub fn start_of(text: &str, columns: usize) -> String {
    match fitting(text, columns, text.chars()) {
        kept if kept == text.chars().count() => text.to_string(),
        kept => format!("{}\u{2026}", text.chars().take(kept).collect::<String>()),
    }
}

/// Counts the characters that fit into `columns`, with room for a mark if not all of them do.
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
