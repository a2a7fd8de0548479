//! What can go wrong between dmctl and a kernel.

use nix::errno::Errno;
use thiserror::Error;

/// A call of the Device Mapper interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is named after the kernel's own command")]
pub enum Call {
    Version,
    List,
    Targets,
    Table,
    Status,
    Create,
    Load,
    Clear,
    Suspend,
    Resume,
    Rename,
    SetUuid,
    Remove,
    Message,
    ArmPoll,
}

impl Call {
    /// Returns the verb of the call, for a sentence: "the kernel refused to ...".
    pub fn verb(self) -> &'static str {
        match self {
            Self::Version => "tell its version",
            Self::List => "list its devices",
            Self::Targets => "list its target types",
            Self::Table => "read the table of",
            Self::Status => "read the state of",
            Self::Create => "create",
            Self::Load => "load a table for",
            Self::Clear => "clear the inactive table of",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Rename => "rename",
            Self::SetUuid => "set the uuid of",
            Self::Remove => "remove",
            Self::Message => "send a message to",
            Self::ArmPoll => "tell when a device changes",
        }
    }

    /// Returns the verb and the device; `device` is empty for a call that is not about a device.
    pub(crate) fn on(self, device: &str) -> String {
        format!("{} {device}", self.verb()).trim_end().to_string()
    }
}

/// Why a kernel could not be read or changed.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The kernel refused a call.
    #[error("the kernel refused to {}: {}{}", .call.on(device), describe(*.errno), .log.as_deref().map(|log| format!(" ({log})")).unwrap_or_default())]
    Refused {
        /// The call that was refused.
        call: Call,
        /// The device, as a person knows it; empty for a call that is not about a device.
        device: String,
        /// The kernel's answer.
        errno: Errno,
        /// The kernel log's own line about it, when it can be had.
        log: Option<String>,
    },
    /// A call that waited for I/O in flight was ended, because this process is to end. The device serves I/O as before.
    #[error("told to end while it waited to {}: I/O is in flight on it", .call.on(device))]
    GaveUp {
        /// The call.
        call: Call,
        /// The device, as a person knows it.
        device: String,
    },
    /// The control node can't be used.
    #[error("{message}")]
    NoControl {
        /// What is missing: a module, a privilege, the node.
        message: String,
    },
    /// A block device or the system's own files could not be read.
    #[error("{what}: {source}")]
    Io {
        /// The attempt, as a verb and its object.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file of a simulated kernel does not hold a valid state.
    #[error("{0}")]
    State(String),
}

impl KernelError {
    /// Returns the errno of a refusal.
    pub fn errno(&self) -> Option<Errno> {
        if let Self::Refused { errno, .. } = self { Some(*errno) } else { None }
    }
}

/// Returns the symbol and the words of an errno: `EBUSY, device or resource busy`.
fn describe(errno: Errno) -> String {
    format!("{errno:?}, {}", errno.desc().to_lowercase())
}
