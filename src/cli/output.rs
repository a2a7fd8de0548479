//! Prints data on standard output, as text or as JSON.

use std::fmt::Display;
use std::io::{self, Write as _};

use crate::identity::printable_json;
use crate::render::json::FORMAT_VERSION;
use anstream::AutoStream;
use anyhow::anyhow;
use clap::ValueEnum;
use serde::Serialize;

use super::exit::Exit;
use super::failure::Failure;
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
    let document = Versioned { format_version: FORMAT_VERSION, data };
    let mut text =
        serde_json::to_string_pretty(&document).map_err(|error| Failure::new(Exit::Error, error))?;
    text.push('\n');
    print(&printable_json(text))
}

/// Writes a document as JSON on one line, with its version.
pub(crate) fn line(data: &impl Serialize) -> Result<String, Failure> {
    let document = Versioned { format_version: FORMAT_VERSION, data };
    let text = serde_json::to_string(&document).map_err(|error| Failure::new(Exit::Error, error))?;
    Ok(printable_json(format!("{text}\n")))
}

/// Prints a document as JSON on one line, with its version.
pub(crate) fn print_line(data: &impl Serialize) -> Result<(), Failure> {
    print(&line(data)?)
}

/// Writes a line for each item.
pub(crate) fn lines(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().fold(String::new(), |mut text, item| {
        push_line!(text, "{item}");
        text
    })
}

/// Writes to standard output. A reader that has gone away has read enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    is_read(text).map(drop)
}

/// Writes to standard output, and returns whether the reader is still there.
pub(crate) fn is_read(text: &str) -> Result<bool, Failure> {
    let mut out = io::stdout().lock();
    // In one call: a stream that strips would write the text between two escapes in one call each.
    let mut plain = AutoStream::new(Vec::with_capacity(text.len()), AutoStream::choice(&out));
    let written = plain.write_all(text.as_bytes()).and_then(|()| out.write_all(&plain.into_inner()));
    match written.and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(Exit::Error, anyhow!("standard output can't be written to: {error}"))),
    }
}
