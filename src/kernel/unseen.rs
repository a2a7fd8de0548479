//! Parts of the system that can't be seen, as in a container: data, so that what depends on them is refused with the reason.

use std::fmt;

use nix::errno::Errno;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::KernelError;
use crate::identity::printable;

/// A part of `/sys`, `/proc` or `/dev` that can't be read, or is not what the kernel shows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unseen {
    /// The attempt: a verb and its object, as in `read /proc/swaps`.
    pub attempt: String,
    /// Why it failed.
    pub why: String,
}

/// A part of the system that may not be visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum HostPart {
    /// The block devices.
    #[serde(rename = "/sys")]
    BlockDevices,
    /// The mounts.
    #[serde(rename = "/proc/self/mountinfo")]
    Mounts,
    /// The swap spaces.
    #[serde(rename = "/proc/swaps")]
    Swaps,
    /// The processes.
    #[serde(rename = "/proc")]
    Processes,
}

impl Unseen {
    /// Creates the failure of a read.
    pub fn reading(path: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { attempt: format!("read {path}"), why: why.to_string() }
    }

    /// Takes the failure to read the system out of an error of a kernel; any other error stays one.
    ///
    /// # Errors
    ///
    /// The error, when it is another one.
    pub fn of(error: KernelError) -> Result<Self, KernelError> {
        match error {
            KernelError::Io { what, source } => Ok(Self { attempt: what, why: reason(&source) }),
            other => Err(other),
        }
    }
}

/// `can't read /proc/swaps: permission denied`.
impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't {}: {}", printable(&self.attempt), printable(&self.why))
    }
}

/// Writes an error of the system as a clause.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) => errno.desc().to_lowercase(),
        None => error.to_string(),
    }
}
