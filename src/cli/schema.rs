//! `dmctl schema`: prints the JSON schemas of the documents that dmctl reads and writes.

use crate::{config, kernel::simulated, render};
use clap::ValueEnum;

use super::exit::Exit;
use super::failure::Failure;
use super::output::print;

/// Print the JSON schema of a document, for editors and scripts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl schema map > mappings.schema.json\n  dmctl schema plan > plan.schema.json\n  dmctl schema events > events.schema.json\n  dmctl schema watch > watch.schema.json\n  dmctl schema health > health.schema.json\n  dmctl schema volumes > volumes.schema.json\n  dmctl schema state > state.schema.json"
)]
pub(crate) struct Args {
    /// Which document
    #[arg(value_name = "DOCUMENT")]
    document: Document,
}

/// A document with a schema.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Document {
    /// A map file, as TOML
    Map,
    /// A plan, as JSON
    Plan,
    /// A line of what `apply --json` prints, as JSON
    Events,
    /// A line of what `watch --json` prints, as JSON
    Watch,
    /// What `health --json` prints, as JSON
    Health,
    /// What `volumes --json` prints, as JSON
    Volumes,
    /// The file of a simulated kernel, as JSON
    State,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let schema = match args.document {
        Document::Map => config::schema(),
        Document::Plan => render::json::plan_schema(),
        Document::Events => render::events::schema(),
        Document::Watch => render::watch_events::schema(),
        Document::Health => render::health_schema(),
        Document::Volumes => render::volumes_schema(),
        Document::State => simulated::schema(),
    };
    // `#` prints it on many lines, for a person.
    print(&format!("{schema:#}\n"))?;
    Ok(Exit::Done)
}
