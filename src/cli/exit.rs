//! The exit codes.

use std::process::ExitCode;

use crate::kernel::KernelError;
use crate::ops::OpError;

/// How a run ends. The numbers are part of the interface: scripts and units depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// An error was found before anything was changed.
    Error = 1,
    /// Changes are pending, or something has drifted.
    Pending = 2,
    /// Refused, nothing was changed.
    Refused = 3,
    /// A saved plan is stale: the kernel has changed since it was made.
    Stale = 4,
    /// Another dmctl holds the lock.
    Locked = 5,
    /// The kernel refused a step, and everything is as it was.
    RolledBack = 6,
    /// The kernel refused a step, and something is not as it was; or everything was done, and that could not be told.
    Inconsistent = 7,
    /// Nothing has drifted, and a device is degraded, failed or unknown.
    Unwell = 8,
    Usage = 64,
}

impl Exit {
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Error,
        Self::Pending,
        Self::Refused,
        Self::Stale,
        Self::Locked,
        Self::RolledBack,
        Self::Inconsistent,
        Self::Unwell,
        Self::Usage,
    ];
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&OpError> for Exit {
    fn from(error: &OpError) -> Self {
        match error {
            OpError::Foreign { .. } | OpError::InUse { .. } => Self::Refused,
            OpError::Refused { cause: KernelError::Refused { .. }, .. } => Self::RolledBack,
            OpError::NotRolledBack { .. } | OpError::Held { .. } | OpError::Unsettled(_) => {
                Self::Inconsistent
            }
            _ => Self::Error,
        }
    }
}
