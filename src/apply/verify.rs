//! Reads the devices again after an apply: the kernel may accept a table and ignore a part of it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::cause::{Cause, Unlike};
use super::rows::Made;
use crate::diff::{self, Verdict};
use crate::identity::{Key, Name, Uuid};
use crate::kernel::{Id, ReadKernel, Slot};
use crate::plan::{Operation, Plan, Step};

/// Checks that every step of a plan had its effect. The error is the step that had not, and how its device is.
pub(crate) fn all<'p>(kernel: &dyn ReadKernel, plan: &'p Plan, made: &Made) -> Result<(), (&'p Step, Cause)> {
    let end = End::of(plan);
    for step in &plan.steps {
        end.one(kernel, step, made).map_err(|cause| (step, cause))?;
    }
    Ok(())
}

/// The names and uuids of devices after all steps.
struct End<'p> {
    /// The new names of renamed devices, by uuid.
    names: BTreeMap<&'p Uuid, &'p Name>,
    /// The uuids that adopted devices were given, by mapping.
    given: HashMap<&'p Key, &'p Uuid>,
    /// The uuids of created devices, recreated ones included.
    created: HashSet<&'p Uuid>,
}

impl<'p> End<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut end = Self { names: BTreeMap::new(), given: HashMap::new(), created: HashSet::new() };
        for step in &plan.steps {
            let Some(uuid) = &step.uuid else { continue };
            match &step.operation {
                Operation::Rename { to } => {
                    end.names.insert(uuid, to);
                }
                Operation::SetUuid => end.given.extend(step.mapping.as_ref().map(|key| (key, uuid))),
                Operation::Create(_) => {
                    end.created.insert(uuid);
                }
                _ => {}
            }
        }
        end
    }

    fn one(&self, kernel: &dyn ReadKernel, step: &Step, made: &Made) -> Result<(), Cause> {
        // A device that was found by name has its uuid by now.
        let given = || step.mapping.as_ref().and_then(|key| self.given.get(key).copied());
        let uuid = step.uuid.as_ref().or_else(given);
        let Some(uuid) = uuid else { return Ok(()) };
        let found = kernel.device(&Id::Uuid(uuid.clone()), Slot::Live)?;
        if let Operation::Remove(_) = step.operation {
            return match found {
                Some(_) if !self.created.contains(uuid) => Err(Unlike::StillThere.into()),
                _ => Ok(()),
            };
        }
        let Some(found) = found else { return Err(Unlike::Gone.into()) };
        if found.info.deferred_remove && step.cancels_removal() {
            return Err(Unlike::RemovalPending.into());
        }
        if let Some(name) = self.names.get(uuid)
            && found.info.name != **name
        {
            return Err(Unlike::Called { is: found.info.name, wanted: Name::clone(name) }.into());
        }
        if let Some((table, access)) = step.new_table() {
            let wanted = made.complete(table, step.mapping.as_ref());
            match diff::compare(&wanted, access, &found) {
                Verdict::Equal | Verdict::Unknown(_) => {}
                Verdict::Reload(diff) | Verdict::Recreate(diff) => {
                    return Err(Unlike::Table(Box::new(diff)).into());
                }
            }
        }
        Ok(())
    }
}
