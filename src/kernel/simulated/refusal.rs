//! A refusal of the simulated kernel: an errno and, mostly, a line in its log.

use nix::errno::Errno;

/// A refusal: the answer of the call, and the line in the kernel's log.
#[derive(Debug)]
pub(super) struct Refusal {
    pub errno: Errno,
    pub log: Option<String>,
}

impl Refusal {
    pub(super) fn new(errno: Errno, log: impl Into<String>) -> Self {
        Self { errno, log: Some(log.into()) }
    }

    pub(super) fn silent(errno: Errno) -> Self {
        Self { errno, log: None }
    }

    pub(super) fn invalid(log: impl Into<String>) -> Self {
        Self::new(Errno::EINVAL, log)
    }
}
