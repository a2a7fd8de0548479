//! Draws devices as boxes with lines between them, in SVG: the elements of the drawings of a graph and of a plan.
//!
//! Each drawing places the boxes itself: that of a graph is a list with levels to the right, for any number of devices;
//! that of a plan grows upwards, and fits beside another one on a page.

use super::escape::Text;
use crate::text::{push, push_line, width};

/// The place of a box, in pixels from the left and the top.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// The alignment of text in a box.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Align {
    Left,
    Middle,
}

/// The look of all boxes of a drawing, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// The radius of the corners.
    pub corner: usize,
    /// The distance from the top of a box to the first line of text.
    pub first_line: usize,
    /// The distance from one line of text to the next.
    pub line: usize,
    pub align: Align,
}

/// The text of a box, and its attributes.
#[derive(Debug)]
pub(crate) struct Label {
    /// The attributes of the group of box and text.
    pub group: String,
    /// The attributes of the box.
    pub frame: String,
    /// The whole text, which a browser shows under the pointer.
    pub whole: String,
    /// The lines of text, cut to fit: the name, and smaller lines below it.
    pub lines: Vec<String>,
}

impl Style {
    /// Draws a box with its label.
    pub(crate) fn draw(self, out: &mut String, label: &Label, Place { x, y, width, height }: Place) {
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

/// Draws a curve from the first point to the last; the two between are its control points.
pub(crate) fn curve(out: &mut String, attributes: &str, [from, leave, arrive, to]: [(usize, usize); 4]) {
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

/// Cuts a name that is wider than `columns`. It keeps the end, where paths differ.
pub(crate) fn end_of(text: &str, columns: usize) -> String {
    let all = text.chars().count();
    match fitting(text, columns, text.chars().rev()) {
        kept if kept == all => text.to_string(),
        kept => format!("\u{2026}{}", text.chars().skip(all - kept).collect::<String>()),
    }
}

/// Cuts a text that is wider than `columns`. It keeps the beginning.
pub(crate) fn start_of(text: &str, columns: usize) -> String {
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
