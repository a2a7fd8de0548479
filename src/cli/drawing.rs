//! Prints a plan on standard output, in the format of the options.

use std::io::{self, IsTerminal};

use crate::plan::document::Document;
use crate::render::{self, ColorMode, Heading, TextStyle};
use clap::ValueEnum;
use serde::Serialize;

use super::failure::Failure;
use super::output::{print, print_json};

/// The format of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For a person, in a terminal
    #[default]
    Text,
    /// For a program
    Json,
    /// For a pull request
    Markdown,
    /// A page of its own, for a review
    Html,
}

/// The options of a verb that draws a plan.
#[derive(Debug, clap::Args)]
pub(crate) struct Drawing {
    /// How to draw the plan
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl Drawing {
    /// Prints `plan`. As JSON it is `data`, which may have more fields.
    pub(crate) fn print(
        &self,
        plan: &Document,
        heading: &Heading,
        data: &impl Serialize,
    ) -> Result<(), Failure> {
        match if self.json { Format::Json } else { self.format } {
            Format::Text => print(&text(plan, heading)),
            Format::Json => print_json(data),
            Format::Markdown => print(&render::markdown(plan, heading)),
            Format::Html => print(&render::html::page(plan, heading)),
        }
    }
}

/// Draws a plan as text, as wide as the terminal if there is one.
pub(crate) fn text(plan: &Document, heading: &Heading) -> String {
    render::draw(plan, heading, TextStyle { mode: ColorMode::Colour, columns: columns() })
}

/// Returns the width of the terminal of standard output. Text for a file or a pipe is not cut.
fn columns() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout.is_terminal().then(|| terminal_size::terminal_size_of(&stdout)).flatten();
    size.map(|(width, _)| usize::from(width.0))
}
