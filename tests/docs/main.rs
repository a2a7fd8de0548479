//! What README.md and `docs/` show is what happens: every command in them is run, every map in them is read.
//!
//! `DMCTL_REGENERATE=1 cargo test --test docs` writes the outputs that they show, and the recording.

#![allow(clippy::unwrap_used, reason = "a document that can't be read fails its test")]

mod blocks;
mod links;
mod maps;
#[path = "../../dist/man/src/markdown.rs"]
mod markdown;
#[path = "../../dist/man/src/pages.rs"]
mod pages;
mod recording;
mod safety;
mod sessions;
mod verbs;

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether what is shown is to be written.
fn regenerate() -> bool {
    std::env::var_os("DMCTL_REGENERATE").is_some_and(|value| value == "1")
}

/// Every document for people.
fn documents() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    all.sort();
    for name in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"] {
        all.push(root().join(name));
    }
    all
}

/// The path of a document from the root of the repository.
fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}
