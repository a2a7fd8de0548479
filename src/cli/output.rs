//! Prints data on standard output, as text or as JSON.

use std::fmt::Display;
use std::io;

use crate::identity::printable_json;
use crate::render::json::FORMAT_VERSION;
use anyhow::anyhow;
use clap::ValueEnum;
use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;
use super::stdout::{Wait, write};
use crate::text::push_line;

/// The format of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Format {
    /// For a person
    #[default]
    Text,
    /// For a program
    Json,
}

/// The options of a verb that prints data.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// How to print
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl Output {
    /// Prints data as `text` or as `json`, as the options want it.
    pub(crate) fn print(&self, text: impl FnOnce() -> String, json: &impl Serialize) -> Result<(), Failure> {
        if self.is_json() { print_json(json) } else { print(&text()) }
    }

    /// Whether the options want JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json || self.format == Format::Json
    }
}

/// A JSON document with the version of its format.
#[derive(Serialize)]
struct Versioned<'a, T> {
    format_version: u32,
    #[serde(flatten)]
    data: &'a T,
}

/// Prints a document as JSON, with its version.
pub(crate) fn print_json(data: &impl Serialize) -> Result<(), Failure> {
    print(&json(data).map_err(|error| Failure::new(Exit::Error, error))?)
}

/// Prints a document as JSON on one line, with its version.
pub(crate) fn print_line(data: &impl Serialize) -> Result<(), Failure> {
    print(&json_line(data).map_err(|error| Failure::new(Exit::Error, error))?)
}

/// Writes a document as JSON, with its version.
pub(super) fn json(data: &impl Serialize) -> serde_json::Result<String> {
    let document = Versioned { format_version: FORMAT_VERSION, data };
    Ok(printable_json(serde_json::to_string_pretty(&document)? + "\n"))
}

/// Writes a document as JSON on one line, with its version.
pub(super) fn json_line(data: &impl Serialize) -> serde_json::Result<String> {
    let document = Versioned { format_version: FORMAT_VERSION, data };
    Ok(printable_json(serde_json::to_string(&document)? + "\n"))
}

/// Writes a line for each item.
pub(crate) fn lines(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().fold(String::new(), |mut text, item| {
        push_line!(text, "{item}");
        text
    })
}

/// Prints on standard output, before anything is changed. A reader that has gone away has read enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match write(text, &Wait::default()) {
        Err(error) if !is_unread(&error) => Err(Failure::new(Exit::Error, unwritable(&error))),
        _ => Ok(()),
    }
}

/// Whether a write failed because the reader has gone away.
pub(super) fn is_unread(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Tells that standard output can't be written to.
pub(super) fn unwritable(error: &io::Error) -> anyhow::Error {
    anyhow!("standard output can't be written to: {error}")
}
