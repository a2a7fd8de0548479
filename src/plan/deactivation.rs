//! Plans the deactivation of a map: its unused devices are removed, and the others stay.

use std::collections::{BTreeSet, HashSet};

use super::{Plan, Refusal, Step, plan};
use crate::config::{Map, State};
use crate::identity::Key;
use crate::kernel::{KernelError, ReadKernel};
use crate::policy::Class;

/// The removals of a deactivation, and the devices that stay.
pub struct Deactivation {
    /// The removals, upper devices first. None of them is refused.
    pub plan: Plan,
    /// The removals that are not carried out, with their refusals.
    pub kept: Vec<Step>,
}

impl Deactivation {
    /// Whether a device stays because it is in use, which may end.
    pub fn is_in_use(&self) -> bool {
        self.kept.iter().any(|step| matches!(step.refused, Some(Refusal::InUse(_))))
    }

    /// Whether a device stays because a program has it open, perhaps only for a moment, as udev does.
    pub fn is_looked_at(&self) -> bool {
        self.kept.iter().filter_map(|step| step.refused.as_ref()).any(Refusal::is_passing)
    }
}

/// Plans to remove every device of `map` that may be removed. The lower devices of a device that stays also stay.
pub fn deactivate(
    kernel: &dyn ReadKernel,
    map: &Map,
    allow: &BTreeSet<Class>,
) -> Result<Deactivation, KernelError> {
    let mut map = map.clone();
    map.policy.prune = false;
    map.rest.get_or_insert_default();
    for mapping in map.mappings.values_mut() {
        mapping.state = State::Absent;
        mapping.rows.clear();
    }
    let mut kept = Vec::new();
    loop {
        let plan = plan(kernel, &map, allow)?;
        let refused: Vec<Step> = plan.refused().cloned().collect();
        if refused.is_empty() {
            return Ok(Deactivation { plan, kept });
        }
        // Once they are not in the map, they are holders of their lower devices like any other.
        let stays: HashSet<&Key> = refused.iter().filter_map(|step| step.mapping.as_ref()).collect();
        map.mappings.retain(|key, _| !stays.contains(key));
        kept.extend(refused);
    }
}
