//! The map file: read, understood and checked, offline.
//!
//! ```text
//! paths -> source -> parts -> syntax -> parse -> merge -> validate -> Map
//!                                └───────┴────────┴────────┴──────> Diagnostics -> draw
//! ```
//!
//! `source` reads the files and refuses what is not a map file. The text of each is parsed a mapping at a
//! time, or as a whole when something is wrong with it, and every table in it is read by itself, so that one
//! wrong target does not hide another. The files become one map, and the map is checked against every rule
//! that does not need a kernel. Errors are collected with their places and drawn with their lines; a [`Map`]
//! comes out only when there are none.

mod boot;
mod diagnostic;
mod draw;
mod duration;
mod explain;
mod fields;
mod keys;
#[cfg(test)]
mod keys_in_errors;
mod locate;
mod merge;
mod model;
mod overlap;
pub(crate) mod own_sectors;
mod parse;
mod parts;
mod reading;
mod row_fields;
mod schema;
mod source;
mod source_error;
mod stacks;
mod syntax;
mod tables;
mod target_schema;
mod validate;
mod wording;

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::files::Laxness;

pub use boot::{BootOption, NoBootOption};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Spot};
pub use draw::Position;
pub use duration::{DurationSyntax, parse_duration};
pub use model::{Length, Map, Mapping, MappingRow, Mappings, Origin, Place, Policy, Rest, Rows, State};
pub use overlap::{Claim, Overlap, SharedSectors, claim, claims, overlaps, readings};
pub(crate) use reading::{Pipes, Rules, is_map};
pub use schema::schema;
pub(crate) use source::MapFile;
pub use source::Source;
pub(crate) use source_error::MAX_BYTES;
use source_error::SourceError;
pub use stacks::Stack;

/// The result of reading a map.
pub struct Loaded {
    /// The map, when it is free of errors.
    pub map: Option<Map>,
    /// The errors and warnings.
    pub diagnostics: Diagnostics,
    /// The files of the map.
    pub sources: Vec<Source>,
    /// Why files were not opened: the ways in which other users could have written them.
    pub refused: Vec<Laxness>,
    /// The paths of these that can only be copied, as they were given.
    pub(crate) to_copy: Vec<PathBuf>,
}

impl Loaded {
    /// Draws the errors and warnings as plain text; empty when there are none.
    pub fn render(&self) -> String {
        self.diagnostics.render(&self.sources)
    }

    /// Draws the errors and warnings as [`Loaded::render`] does, in the colours of a terminal.
    pub fn render_colored(&self) -> String {
        self.diagnostics.render_colored(&self.sources)
    }

    /// Identifies the content that was read: the same for the same text, in files of the same owners and
    /// permissions.
    pub fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.sources.iter().for_each(|source| source.feed(&mut hash));
        hash.finalize().into()
    }

    /// Lists the ways in which users other than `user` and root could have written the map, or read a key in
    /// it. The caller decides whether that is refused or only reported.
    pub fn laxness(&self, user: u32) -> Vec<Laxness> {
        let mut all: Vec<_> = self.sources.iter().flat_map(|source| source.laxness(user)).collect();
        // Files of one directory share its findings.
        all.dedup();
        all
    }
}

/// Reads the map that `paths` name together: files, directories of `*.toml`, `-` for standard input.
/// [`Loaded::laxness`] tells who could have written it.
pub fn load(paths: &[PathBuf]) -> Loaded {
    load_by(paths, Rules::default())
}

/// Reads the map that `paths` name together, for `user`: a file that another user than this one and root could have
/// written, or put in its place, is an error, and is not opened.
pub fn load_trusted(paths: &[PathBuf], user: u32) -> Loaded {
    load_by(paths, Rules { refused_for: Some(user), ..Rules::default() })
}

/// Reads the map that `paths` name together, by these rules.
pub(crate) fn load_by(paths: &[PathBuf], rules: Rules) -> Loaded {
    let (sources, errors) = reading::read(paths, rules);
    let mut diagnostics = Diagnostics::default();
    let (mut refused, mut to_copy) = (Vec::new(), Vec::new());
    for error in errors {
        let diagnostic = Diagnostic::error(error.to_string());
        diagnostics.push(match error {
            SourceError::Lax { laxness, argument } => {
                if laxness.is_to_copy() && !to_copy.contains(&argument) {
                    to_copy.push(argument);
                }
                refused.push(laxness);
                diagnostic.help("dmctl does as root what a map tells: no other user may be able to write it")
            }
            _ => diagnostic,
        });
    }
    Loaded { refused, to_copy, ..understand(sources, diagnostics) }
}

/// Reads a map from text; `name` is the name of its file in messages.
///
/// ```
/// let loaded = dmctl::config::parse_str("map.toml", r#"
///     format = 1
///     [mappings.disk]
///     targets = [{ type = "zero", length = "1MiB" }]
/// "#);
/// assert_eq!(loaded.map.unwrap().mappings.len(), 1);
/// ```
pub fn parse_str(name: &str, text: &str) -> Loaded {
    understand(vec![Source::from_text(name, text)], Diagnostics::default())
}

fn understand(mut sources: Vec<Source>, mut diagnostics: Diagnostics) -> Loaded {
    let readable = diagnostics.is_usable();
    let mut files: Vec<_> = sources
        .iter_mut()
        .enumerate()
        .map(|(index, source)| read_file(index, source, &mut diagnostics))
        .collect();
    if !readable {
        // A file that can't be read may hold what the others refer to.
        files.push(None);
    }
    let mut merged = merge::merge(files, &mut diagnostics);
    validate::check(&mut merged, &mut diagnostics);
    diagnostics.settle(&sources);
    let map = diagnostics.is_usable().then(|| Map {
        owner: merged.owner,
        policy: merged.policy,
        mappings: merged.mappings,
        rest: None,
        is_lax: false,
    });
    Loaded { map, diagnostics, sources, refused: Vec::new(), to_copy: Vec::new() }
}

fn read_file(index: usize, source: &mut Source, diagnostics: &mut Diagnostics) -> Option<parse::FileDraft> {
    if let Some(at) = source.broken_at {
        diagnostics.push(
            Diagnostic::error("this is not UTF-8 text")
                .at((index, at..at + char::REPLACEMENT_CHARACTER.len_utf8()))
                .label("the first byte that can't be read")
                .help("a map is UTF-8 text; save it in that encoding"),
        );
        return None;
    }
    let draft = parse::parse(index, &source.text, diagnostics)?;
    source.holds_keys = draft.holds_keys;
    source.has_settings = draft.owner.is_some() || draft.policy.is_some();
    Some(draft)
}
