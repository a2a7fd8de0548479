//! A plan kept in a file: reviewed today, and tomorrow exactly that plan is applied, or nothing.
//!
//! The file holds the plan as it was shown, the map it was made from, and a [`Fingerprint`] of every device that it
//! touches and of their lower devices. Applying it does not replay the steps: the kernel is read again and compared
//! with the fingerprint, and the map is planned again; only when that gives the saved steps are they carried out. So
//! there is one planner and one way to apply, and a saved plan can't do anything that a map could not.
//!
//! The file holds no key. A key that a map only names (a file, a credential, a keyring) is named in the plan as well. One
//! that the map holds itself is left out: then the files of the map are read again when the plan is applied, must have
//! the same content, and a salted, slow digest tells whether the keys are the same.
//!
//! A digest over the content finds damage and edits by hand. It is not a signature: a user who may write the file may
//! write another plan, so the file is trusted by its permissions, as a map is.

mod change;
mod check;
mod device_record;
mod digest;
mod file;
mod fingerprint;
mod keys;
mod malformed;
mod map;
mod rest;
mod undo;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::Map;
use crate::files::{Laxness, word};
use crate::identity::{printable, printable_json, printable_path};
use crate::kernel::{KernelError, ReadKernel, Unseen};
use crate::plan::Plan;
use crate::plan::document::Document;

pub use change::{Change, DeviceChange, StepName};
pub use check::{Freshness, permit_host};
pub use device_record::{DeviceRecord, Locator, MappedState};
pub use digest::host;
#[cfg(any(test, fuzzing))]
pub(crate) use digest::seal;
pub use file::{MAX_FILE, PlanFile, read, write};
pub use fingerprint::Fingerprint;
pub use malformed::Malformed;
pub use map::canonical;
pub use undo::Undo;

use keys::KeyDigest;
use rest::RestRecord;

/// The version of the format. A file of another version is refused.
pub const FORMAT_VERSION: u32 = 1;

/// A plan in a file, and the state of the devices it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    format_version: u32,
    /// The plan as it was shown.
    #[serde(flatten)]
    pub document: Document,
    /// When, by which version and on which host the plan was made.
    pub made: Made,
    /// The map in its canonical form, without keys.
    map: serde_json::Value,
    /// Whether the map is a part of a larger one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_part: bool,
    /// What conflicts of a part can name of the rest of the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<RestRecord>,
    /// The files of the map, when they hold keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    map_files: Vec<PathBuf>,
    /// The digest of those keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    map_keys: Option<KeyDigest>,
    /// The devices that the plan touches, and their lower devices.
    pub fingerprint: Fingerprint,
    /// How each step can be undone, the last step first.
    pub undo: Vec<Undo>,
}

/// When, by which version and on which host a plan was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The time in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// The version of dmctl.
    pub version: String,
    /// A digest of the machine id of the host ([`host`]); `None` for a simulated kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// Why a plan can't be saved, or a saved one can't be used.
#[derive(Debug, Error)]
pub enum SavedError {
    /// The file can't be read or written.
    #[error("can't {attempt} `{}`: {error}", printable_path(.path))]
    File {
        /// The attempt: `read`, `open`, `write`, `write beside`, `replace` or `write the folder of`.
        attempt: String,
        /// The path of the file, as it was given.
        path: PathBuf,
        /// The answer of the system.
        error: std::io::Error,
    },
    /// The file is not a saved plan.
    #[error("`{}` is not a saved plan: {reason}", printable(.path))]
    NotAPlan {
        /// The path of the file, as it was given.
        path: String,
        /// The first problem of its content.
        reason: Malformed,
    },
    /// The file was changed after it was written.
    #[error("`{}` was changed after `dmctl plan --out` wrote it: its digest does not match; make the plan again", printable(.0))]
    Altered(String),
    /// The plan was made on another host.
    #[error(
        "this plan was made on another host: device numbers and names mean other disks there; make it again here, or use --any-host"
    )]
    OtherHost,
    /// The map holds a key, and its file can't be read again when the plan is applied.
    #[error(
        "the map holds a key in clear, which is never saved, and it was read from {0}, which can't be read again: write the map to a file, or let it name a key file, a credential or a keyring"
    )]
    KeysFromNowhere(String),
    /// The map can't be read again.
    #[error("the map of this plan can't be read: {0}")]
    Map(String),
    /// A file of the map can't be read as a map. Nothing of its content is told: the plan names it, and may name any file.
    #[error(
        "the map of this plan can't be read again: {} in {}; {}",
        if *.errors == 1 { "1 error".to_string() } else { format!("{} errors", .errors) },
        listed(.files, ", ", |path| format!("`{}`", printable_path(path))),
        validated(.files),
    )]
    MapFiles {
        /// The files of the map.
        files: Vec<PathBuf>,
        /// How many errors there are.
        errors: usize,
    },
    /// Another user could have written a file of the map.
    #[error("the map of this plan is not read again: {0}{plan}", plan = if .0.is_to_copy() { "; plan again from a copy in a folder of root's" } else { "" })]
    Lax(Laxness),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// Devices that the plan needs could not be seen.
    #[error(
        "the devices that the plan needs could not be seen: {0}; run dmctl where /sys, /proc and /dev are those of the host"
    )]
    Unseen(Unseen),
    /// The kernel can't be read.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// Tells what hides the devices that a plan needs.
fn unseen(error: KernelError) -> SavedError {
    Unseen::of(error).map_or_else(SavedError::Kernel, SavedError::Unseen)
}

/// Tells the command that shows what is wrong with the files of a map. It draws their lines, so it is told only of files
/// with the name of a map: a plan may name any file.
fn validated(files: &[PathBuf]) -> String {
    if files.iter().any(|file| file.extension().is_none_or(|extension| extension != "toml")) {
        return "look whether that is the map that was planned: its name does not end in `.toml`".to_string();
    }
    let written = |path: &Path| format!(" {}", word(path));
    format!("see `dmctl validate{}`", listed(files, "", written))
}

fn listed(files: &[PathBuf], separator: &str, written: impl Fn(&Path) -> String) -> String {
    let all: Vec<String> = files.iter().map(|file| written(file)).collect();
    all.join(separator)
}

impl Saved {
    /// Saves a plan that was made from `map`, which was read from `files`.
    ///
    /// # Errors
    ///
    /// [`SavedError::Kernel`] when a device can't be read; [`SavedError::KeysFromNowhere`], [`SavedError::Random`] and
    /// [`SavedError::Map`] when the map can't be kept.
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
            fingerprint: Fingerprint::take(kernel, &document).map_err(unseen)?,
            undo: undo::of(&document),
            document,
            made,
            map: map::canonical(map),
            is_part: map.rest.is_some(),
            rest: RestRecord::new(map),
            map_files,
            map_keys,
        })
    }

    /// Writes the file: JSON with a digest, and a line end.
    pub fn to_json(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        digest::seal(&mut value);
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        printable_json(text)
    }

    /// Reads the text of a file; `path` is its name in messages.
    ///
    /// # Errors
    ///
    /// [`SavedError::NotAPlan`] and [`SavedError::Altered`].
    pub fn parse(path: &str, text: &str) -> Result<Self, SavedError> {
        let not = |reason| SavedError::NotAPlan { path: path.to_string(), reason };
        let mut value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| not(Malformed::Json(error)))?;
        match value.get("format_version") {
            Some(version) if *version == FORMAT_VERSION => {}
            Some(version) => return Err(not(Malformed::OtherFormat(version.clone()))),
            None => return Err(not(Malformed::NoFormat)),
        }
        match digest::unseal(&mut value) {
            None => return Err(not(Malformed::NoDigest)),
            Some(false) => return Err(SavedError::Altered(path.to_string())),
            Some(true) => {}
        }
        serde_json::from_value(value).map_err(|error| not(Malformed::Json(error)))
    }
}
