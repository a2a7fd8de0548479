//! Reads the map files that a verb is given, and reports what is wrong with them.

use std::env;
use std::path::{Path, PathBuf};

use crate::config::{self, Loaded, Map, MapFile, Pipes, Rules, Source};
use crate::files::{Copied, Laxness};
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
pub(crate) struct Files {
    /// Map files, directories of `*.toml`, or `-` for standard input; several files form one map
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// What to do with a map that users other than this one and root could have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Read it: a simulated kernel is a file, and a map does no harm there.
    Silent,
    /// Read it, with a warning.
    Warn,
    /// Refuse it: it would be applied as root.
    Refuse,
}

impl Trust {
    /// Is the rule for what root does by itself, or for the programs that call dmctl at boot and when an initramfs is made.
    pub(crate) fn of_root() -> Self {
        if geteuid().is_root() { Self::Refuse } else { Self::Warn }
    }

    /// Returns the user for whom files are refused that others could have written; `None` where they are read.
    pub(crate) fn believed(self) -> Option<u32> {
        (self == Self::Refuse).then(|| geteuid().as_raw())
    }

    fn rules(self, pipes: Pipes) -> Rules {
        Rules { refused_for: self.believed(), pipes }
    }

    /// Refuses, or tells, that other users could have written a plan.
    pub(crate) fn judge_plan(self, path: &Path, laxness: &[Laxness]) -> Result<(), Failure> {
        for laxness in laxness {
            match self {
                Self::Silent => {}
                Self::Refuse if laxness.is_to_copy() => {
                    let hint = Copied::Plan(path).to_string();
                    return Err(Failure::new(Exit::Error, laxness.clone()).hint(hint));
                }
                Self::Refuse => return Err(Failure::new(Exit::Error, laxness.clone())),
                Self::Warn => note(format_args!("warning: {laxness}")),
            }
        }
        Ok(())
    }
}

/// A map that was read, before anything about it is printed.
pub(crate) struct Read {
    /// Its errors and warnings, drawn; then the warnings about the owners of its files.
    pub messages: Vec<String>,
    /// The map, or why it is refused.
    pub map: Result<Map, Failure>,
    /// The files that were read, as the mappings number them.
    pub files: Vec<MapFile>,
}

impl Read {
    /// Prints the messages, and returns the map.
    fn report(self) -> Result<Map, Failure> {
        self.messages.iter().for_each(note);
        self.map
    }
}

/// Reads the map that `files` are, and reports everything that is wrong with it. The keys that it names stay unread.
pub(crate) fn read(files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
    accept(config::load_by(files, trust.rules(Pipes::Read)), trust)
}

/// Reports everything that is wrong with a map that was loaded, and returns it unless it is refused.
pub(crate) fn accept(loaded: Loaded, trust: Trust) -> Result<Map, Failure> {
    judge(loaded, trust).report()
}

/// Reads the map that `files` are, with the keys that it names, to be compared with a kernel.
pub(crate) fn read_with_keys(files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
    Selection::default().read_with_keys(files, trust)
}

/// Reads the map and its keys, and prints nothing: a map that is read again and again, so that a FIFO is refused. Returns also the digest of all that was read.
pub(crate) fn read_quietly(files: &[PathBuf], trust: Trust) -> (Read, [u8; 32]) {
    let mut loaded = config::load_by(files, trust.rules(Pipes::Refuse));
    loaded.read_keys(&places());
    let digest = loaded.digest();
    (judge(loaded, trust), digest)
}

impl Selection {
    /// Reads the selected stacks of the map that `files` are.
    pub(crate) fn read(&self, files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
        let mut loaded = config::load_by(files, trust.rules(Pipes::Read));
        self.narrow(&mut loaded)?;
        judge(loaded, trust).report()
    }

    /// Reads the selected stacks, and tells which files the map is made of.
    pub(crate) fn read_with_files(
        &self,
        files: &[PathBuf],
        trust: Trust,
    ) -> Result<(Map, Vec<MapFile>), Failure> {
        let mut loaded = config::load_by(files, trust.rules(Pipes::Read));
        self.narrow(&mut loaded)?;
        let mut read = judge(loaded, trust);
        let files = std::mem::take(&mut read.files);
        Ok((read.report()?, files))
    }

    /// Reads the selected stacks, with the keys that they name.
    pub(crate) fn read_with_keys(&self, files: &[PathBuf], trust: Trust) -> Result<Map, Failure> {
        self.read_all(files, trust).map(|(map, _)| map)
    }

    /// Reads the selected stacks, with the keys that they name, and tells which files the map is made of.
    pub(crate) fn read_all(&self, files: &[PathBuf], trust: Trust) -> Result<(Map, Vec<MapFile>), Failure> {
        let mut loaded = config::load_by(files, trust.rules(Pipes::Read));
        self.narrow(&mut loaded)?;
        loaded.read_keys(&places());
        let mut read = judge(loaded, trust);
        let files = std::mem::take(&mut read.files);
        Ok((read.report()?, files))
    }
}

/// Returns where the keys are that a map names.
pub(crate) fn places() -> Places {
    let credentials = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    Places { credentials, user: geteuid().as_raw() }
}

fn judge(loaded: Loaded, trust: Trust) -> Read {
    let mut refused = loaded.refused.clone();
    let mut messages = Vec::new();
    // Another user than root reads and opens nothing that the author of the map could not.
    let mut is_lax = false;
    for laxness in loaded.laxness(geteuid().as_raw()) {
        is_lax |= geteuid().is_root() && !matches!(laxness, Laxness::Readable { .. });
        match trust {
            Trust::Silent if !matches!(laxness, Laxness::Readable { .. }) => {}
            Trust::Refuse if refused.contains(&laxness) => {}
            Trust::Refuse => refused.push(laxness),
            Trust::Warn | Trust::Silent => messages.push(format!("warning: {laxness}")),
        }
    }
    let files = loaded.sources.iter().map(Source::facts).collect();
    let mut refused = refused.into_iter();
    if let Some(laxness) = refused.next() {
        // What else is wrong with a map that is refused does not matter yet.
        let hint = if loaded.refused.is_empty() {
            "the key in the map is for its owner alone: no other user may be able to read it"
        } else {
            "dmctl does as root what a map tells: no other user may be able to write it"
        };
        let messages = refused.map(|laxness| format!("error: {laxness}")).collect();
        let mut failure = Failure::new(Exit::Error, laxness).hint(hint);
        if !loaded.to_copy.is_empty() {
            failure = failure.hint(Copied::Map(&loaded.to_copy).to_string());
        }
        return Read { messages, map: Err(failure), files };
    }
    let drawn = loaded.render_colored();
    if !drawn.is_empty() {
        messages.insert(0, drawn.trim_end().to_string());
    }
    let errors = loaded.diagnostics.errors();
    let map = loaded.map.map(|map| Map { is_lax, ..map }).ok_or_else(|| {
        let errors = if errors == 1 { "1 error".to_string() } else { format!("{errors} errors") };
        Failure::new(Exit::Error, anyhow!("{errors} in the map, so nothing was changed"))
    });
    Read { messages, map, files }
}

impl Context {
    /// Returns whether a map that other users could have written is applied.
    pub(crate) fn trust_to_apply(&self) -> Trust {
        // Without root its author gains nothing; and a simulated kernel is a file of this user.
        if self.is_live() && geteuid().is_root() { Trust::Refuse } else { self.trust_to_read() }
    }

    /// Returns whether it is told that other users could have written a map that is only compared with the kernel.
    pub(crate) fn trust_to_read(&self) -> Trust {
        if self.is_live() { Trust::Warn } else { Trust::Silent }
    }
}
