//! `dmctl graph`: draws devices and their lower devices.

use std::path::PathBuf;

use crate::graph;
use crate::render::ColorMode;
use crate::render::graph as drawn;
use clap::ValueEnum;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map;
use super::note::note_unseen;
use super::output::{print, print_json};

/// Draw which device uses which, from the disks up; with a map, also what is missing, drifted or to be done
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl graph\n  dmctl graph mappings.toml\n  dmctl graph --format svg > stacks.svg\n  dmctl graph --format dot | dot -Tpng > stacks.png"
)]
pub(crate) struct Args {
    /// Map files; without any, only what is there is drawn
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to draw it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// A way to draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A tree, as lsblk draws one
    Text,
    /// The language of Graphviz
    Dot,
    /// The language of Mermaid
    Mermaid,
    /// A drawing
    Svg,
    /// For a program
    Json,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let graph = if args.files.is_empty() {
        graph::read(context.reading()?.as_ref())?
    } else {
        let map = map::read_with_keys(&args.files, context.trust_to_read())?;
        graph::with_map(context.reading_for(&map)?.as_ref(), &map)?
    };
    note_unseen(&graph.unseen);
    match args.format {
        _ if args.json => print_json(&graph)?,
        Format::Json => print_json(&graph)?,
        Format::Text => print(&drawn::text(&graph, ColorMode::Colour))?,
        Format::Dot => print(&drawn::dot(&graph))?,
        Format::Mermaid => print(&drawn::mermaid(&graph))?,
        Format::Svg => print(&drawn::svg(&graph))?,
    }
    Ok(Exit::Done)
}
