//! A plan kept in a file: reviewed today, and tomorrow exactly that plan is applied, or nothing.
//!
//! The file holds the plan as it was shown, the map it was made from, and a [`Fingerprint`] of every
//! device it touches and of what those stand on. Applying it does not replay the steps: the kernel is
//! read again, compared with the fingerprint, and the map planned again; only when that gives the very
//! steps that were saved are they carried out. So there is one planner and one way to apply, and a saved
//! plan can't say anything that a map could not.
//!
//! No key is in the file. A key that a map only names (a file, a credential, a keyring) is named here too.
//! One that stands in the map itself is left out: then the map's files are read again when the plan is
//! applied, they must say the same, and a salted, slow digest tells whether the keys are still the same.
//!
//! A digest over everything finds damage and edits by hand. It is no signature: who may write the file
//! may write another plan, so the file is judged by its permissions, as a map is.

mod check;
mod digest;
mod file;
mod fingerprint;
mod keys;
mod map;
mod undo;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::Map;
use crate::identity::printable;
use crate::kernel::{KernelError, ReadKernel};
use crate::plan::Plan;
use crate::plan::document::Document;

pub use check::{Now, permit_host};
pub use digest::host;
pub use file::{MAX_FILE, read, write};
pub use fingerprint::{By, DeviceRecord, Fingerprint, MappedState};
pub use map::canonical;
pub use undo::Undo;

use keys::KeyDigest;

/// The version of the file. A file of another version is refused.
pub const FORMAT_VERSION: u32 = 1;

/// A saved plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    format_version: u32,
    /// The plan as it was shown.
    #[serde(flatten)]
    pub document: Document,
    /// Where and when it was made.
    pub made: Made,
    /// The map, as a map file would say it, without keys.
    map: serde_json::Value,
    /// The files the map was read from, when keys stand in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    map_files: Vec<PathBuf>,
    /// What tells whether those keys are still the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    map_keys: Option<KeyDigest>,
    /// The devices it touches, and what they stand on.
    pub fingerprint: Fingerprint,
    /// What would undo it, last step first.
    pub undo: Vec<Undo>,
}

/// Where and when a plan was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// When, as RFC 3339 has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// By which version of dmctl.
    pub version: String,
    /// On which host: a digest of its machine id; none for a simulated kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Why a plan could not be saved, or a saved one not be used.
#[derive(Debug, Error)]
pub enum SavedError {
    /// The file can't be read or written.
    #[error("{what} `{}`: {error}", printable(.path))]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: String,
        /// The system's answer.
        error: std::io::Error,
    },
    /// The file is no saved plan.
    #[error("`{}` is no saved plan: {says}", printable(.path))]
    Not {
        /// The file.
        path: String,
        /// What it is, or where it stops being one.
        says: String,
    },
    /// The file was changed after it was written.
    #[error("`{}` was changed after `dmctl plan --out` wrote it: its digest does not match; make the plan again", printable(.0))]
    Altered(String),
    /// The plan was made on another host.
    #[error(
        "this plan was made on another host: device numbers and names mean other disks there; make it again here, or use --any-host"
    )]
    OtherHost,
    /// The map holds a key, and could not be read again.
    #[error(
        "the map holds a key in clear, which is never saved, and it was read from {0}, which can't be read again: write the map to a file, or let it name a key file, a credential or a keyring"
    )]
    KeysFromNowhere(String),
    /// The map can't be read again.
    #[error("the map of this plan can't be read: {0}")]
    Map(String),
    /// No random number could be had.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// The kernel can't be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl Saved {
    /// Takes down a plan that was made of `map`, which was read from `files`.
    pub fn new(
        kernel: &dyn ReadKernel,
        map: &Map,
        files: &[PathBuf],
        plan: &Plan,
        made: Made,
    ) -> Result<Self, SavedError> {
        let document = Document::of(plan);
        let material = keys::in_clear(map);
        let (map_files, map_keys) = if material.is_empty() {
            map::check(map)?;
            (Vec::new(), None)
        } else {
            (keys::files(files)?, Some(KeyDigest::new(&material)?))
        };
        Ok(Self {
            format_version: FORMAT_VERSION,
            fingerprint: Fingerprint::take(kernel, &document)?,
            undo: undo::of(&document),
            document,
            made,
            map: map::canonical(map),
            map_files,
            map_keys,
        })
    }

    /// As text, with its digest.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        digest::seal(&mut value);
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads the text of the file called `path` in messages.
    pub fn parse(path: &str, text: &str) -> Result<Self, SavedError> {
        let not = |says: String| SavedError::Not { path: path.to_string(), says };
        let mut value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| not(error.to_string()))?;
        match value.get("format_version") {
            Some(version) if *version == FORMAT_VERSION => {}
            Some(version) => {
                let says =
                    format!("it has format {version}, this version of dmctl reads format {FORMAT_VERSION}");
                return Err(not(says));
            }
            None => return Err(not("it has no format_version".to_string())),
        }
        match digest::unseal(&mut value) {
            None => {
                return Err(not(
                    "it has no digest; `dmctl plan --out` writes saved plans, `--json` prints plans"
                        .to_string(),
                ));
            }
            Some(false) => return Err(SavedError::Altered(path.to_string())),
            Some(true) => {}
        }
        serde_json::from_value(value).map_err(|error| not(error.to_string()))
    }
}
