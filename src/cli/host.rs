//! Which host this is, for plans that are kept.

use std::fs;

use crate::saved;

use super::context::Context;

/// Where systemd keeps the id of a host (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

impl Context {
    /// What stands for this host in a saved plan. A simulated kernel is of no host, and some hosts have no id.
    pub fn host(&self) -> Option<String> {
        let id = self.is_live().then(|| fs::read_to_string(MACHINE_ID).ok()).flatten()?;
        (!id.trim().is_empty()).then(|| saved::host(&id))
    }
}
