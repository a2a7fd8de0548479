//! Draws a graph of devices: as a tree of lines, in the languages of two drawing tools, as an SVG drawing.

mod dot;
mod labels;
mod mermaid;
mod svg;
mod text;

pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::svg;
pub use text::text;
