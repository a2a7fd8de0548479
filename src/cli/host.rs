//! Identifies this host, for saved plans.

use std::fs;

use crate::saved;

use super::context::Context;

/// The file of systemd with the id of a host (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

impl Context {
    /// Returns the id of this host for a saved plan; `None` for a simulated kernel, and for a host without an id.
    pub(crate) fn host(&self) -> Option<String> {
        let id = self.is_live().then(|| fs::read_to_string(MACHINE_ID).ok()).flatten()?;
        (!id.trim().is_empty()).then(|| saved::host(&id))
    }
}
