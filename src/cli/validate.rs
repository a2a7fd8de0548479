//! `dmctl validate`: checks map files.

use crate::config::{self, Loaded, Severity};
use crate::identity::{Key, Owner};
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::map::{self, Files, Trust};
use super::output::{Output, print, print_json};

/// Check map files offline: syntax, types, references, cycles, overlaps; no kernel, no root
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  dmctl validate mappings.toml\n  dmctl validate /etc/dmctl\n  dmctl validate mappings.toml --json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Validated<'a> {
    valid: bool,
    /// Null, without mappings, when the map is not valid.
    owner: Option<&'a Owner>,
    mappings: Vec<&'a Key>,
    errors: Vec<Said>,
    warnings: Vec<Said>,
}

/// An error or a warning with its place; null for one that is not in a file.
#[derive(Serialize)]
struct Said {
    message: String,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    help: Vec<String>,
}

pub(crate) fn run(_: &Context, args: &Args) -> Result<Exit, Failure> {
    let loaded = config::load(&args.files.files);
    if args.output.is_json() {
        print_json(&document(&loaded))?;
        map::accept(loaded, Trust::Warn)?;
        return Ok(Exit::Done);
    }
    let map = map::accept(loaded, Trust::Warn)?;
    let count = map.mappings.len();
    let mappings = if count == 1 { "mapping" } else { "mappings" };
    print(&format!("Valid: {count} {mappings} of owner {}.\n", map.owner))?;
    Ok(Exit::Done)
}

fn document(loaded: &Loaded) -> Validated<'_> {
    let map = loaded.map.as_ref();
    Validated {
        valid: map.is_some(),
        owner: map.map(|map| &map.owner),
        mappings: map.iter().flat_map(|map| map.mappings.keys()).collect(),
        errors: said(loaded, Severity::Error),
        warnings: said(loaded, Severity::Warning),
    }
}

fn said(loaded: &Loaded, severity: Severity) -> Vec<Said> {
    let all = loaded.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity);
    all.map(|diagnostic| {
        let place = diagnostic.position(&loaded.sources);
        Said {
            message: diagnostic.shown(),
            line: place.as_ref().map(|place| place.line),
            column: place.as_ref().map(|place| place.column),
            file: place.map(|place| place.file),
            help: diagnostic.advice(),
        }
    })
    .collect()
}
