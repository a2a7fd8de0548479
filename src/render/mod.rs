//! A plan and a status, drawn: for a person, or for a program. Nothing here reads a kernel.

pub mod json;
mod status;
mod text;

pub use status::text as status;
pub use text::{Paint, text};
