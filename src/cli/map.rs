//! The map files a verb is given: read, and what is wrong with them told.

use std::env;
use std::path::PathBuf;

use crate::config::{self, Loaded, Map};
use crate::keys::Places;
use anyhow::anyhow;
use nix::unistd::geteuid;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::note::note;
use super::selection::Selection;

/// The map files.
#[derive(Debug, clap::Args)]
pub struct Files {
    /// Map files, directories of `*.toml`, or `-` for standard input; several are one map
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What is made of a map that somebody else could have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It is read all the same, and that is said.
    Warn,
    /// It is refused: what it says would be done, as root.
    Refuse,
}

/// What came of reading a map, untold.
pub struct Read {
    /// What is to be said about it: what is wrong with it, drawn, and what is doubtful.
    pub says: Vec<String>,
    /// The map, or why there is none.
    pub map: Result<Map, Failure>,
}

impl Read {
    /// Tells what is to be said, and gives the map.
    fn told(self) -> Result<Map, Failure> {
        self.says.iter().for_each(note);
        self.map
    }
}

/// Reads the map that `files` are, or tells everything that is wrong with it. The keys that it names stay
/// unread.
pub fn read(files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
    told(config::load(files), trust)
}

/// The map that was read, or everything that is wrong with it told.
pub fn told(loaded: Loaded, trust: Trust) -> Result<Map, Failure> {
    judge(loaded, trust).told()
}

/// Reads the map that `files` are, and the keys that it names: what it takes to compare it with a kernel.
pub fn read_with_keys(files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
    Selection::default().read_with_keys(files, trust)
}

/// The same, and tells nothing; and what stands for all that was read.
pub fn look(files: &[PathBuf], trust: Trust) -> (Read, [u8; 32]) {
    let mut loaded = config::load(files);
    loaded.read_keys(&places());
    let digest = loaded.digest();
    (judge(loaded, trust), digest)
}

impl Selection {
    /// Reads what was asked for of the map that `files` are.
    pub fn read(&self, files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
        let mut loaded = config::load(files);
        self.narrow(&mut loaded)?;
        judge(loaded, trust).told()
    }

    /// The same, and the keys that it names.
    pub fn read_with_keys(&self, files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
        let mut loaded = config::load(files);
        self.narrow(&mut loaded)?;
        loaded.read_keys(&places());
        judge(loaded, trust).told()
    }
}

/// Where the keys are that a map names.
pub fn places() -> Places {
    let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    Places { credentials, user: geteuid().as_raw() }
}

fn judge(loaded: Loaded, trust: Trust) -> Read {
    let drawn = loaded.render(true);
    let mut says = Vec::new();
    if !drawn.is_empty() {
        says.push(drawn.trim_end().to_string());
    }
    let mut refused = None;
    for laxness in loaded.laxness(geteuid().as_raw()) {
        match trust {
            Trust::Refuse => refused = refused.or(Some(laxness)),
            Trust::Warn => says.push(format!("warning: {laxness}")),
        }
    }
    let errors = loaded.diagnostics.errors();
    let map = match refused {
        Some(laxness) => Err(Failure::new(Exit::Error, laxness)
            .hint("a map is applied as root: nobody else may be able to write it")),
        None => loaded.map.ok_or_else(|| {
            let errors = if errors == 1 { "1 error".to_string() } else { format!("{errors} errors") };
            Failure::new(Exit::Error, anyhow!("{errors} in the map, so nothing was done"))
        }),
    };
    Read { says, map }
}

impl Context {
    /// Whether a map that somebody else could have written is applied.
    pub fn trust_to_apply(&self) -> Trust {
        // Without root there is nothing to win; and a simulated kernel is nobody's.
        if self.is_live() && geteuid().is_root() { Trust::Refuse } else { Trust::Warn }
    }
}
