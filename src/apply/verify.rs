//! Reads everything again: the kernel may take a table and ignore a part of it.

use std::collections::BTreeMap;

use super::rows::Made;
use crate::diff::{self, Verdict};
use crate::identity::{Name, Uuid};
use crate::kernel::{Id, ReadKernel, Slot};
use crate::plan::{Action, Detail, Plan, Step};

/// Checks that every step of a plan had its effect, or says which had not and how.
pub fn all<'p>(
    kernel: &dyn ReadKernel,
    plan: &'p Plan,
    made: &Made,
) -> Result<(), (Option<&'p Step>, String)> {
    let names = names_at_end(plan);
    for step in &plan.steps {
        one(kernel, plan, step, &names, made).map_err(|says| (Some(step), says))?;
    }
    Ok(())
}

/// What each device is called after all renames, by uuid.
fn names_at_end(plan: &Plan) -> BTreeMap<&Uuid, &Name> {
    let renamed = |step: &'_ Step| matches!(step.detail, Detail::Rename { .. });
    plan.steps
        .iter()
        .filter(|step| renamed(step))
        .filter_map(|step| match (&step.detail, &step.uuid) {
            (Detail::Rename { to }, Some(uuid)) => Some((uuid, to)),
            _ => None,
        })
        .collect()
}

fn one(
    kernel: &dyn ReadKernel,
    plan: &Plan,
    step: &Step,
    names: &BTreeMap<&Uuid, &Name>,
    made: &Made,
) -> Result<(), String> {
    // A device that was found by name has its uuid by now.
    let uuid = step.uuid.as_ref().or_else(|| {
        let given = |other: &&Step| other.action == Action::SetUuid && other.mapping == step.mapping;
        plan.steps.iter().find(given).and_then(|other| other.uuid.as_ref())
    });
    let Some(uuid) = uuid else { return Ok(()) };
    let found = kernel.device(&Id::Uuid(uuid.clone()), Slot::Live).map_err(|error| error.to_string())?;
    if step.action == Action::Remove {
        let again = |other: &Step| other.action == Action::Create && other.uuid == step.uuid;
        return match found {
            Some(_) if !plan.steps.iter().any(again) => Err("the kernel still has it".to_string()),
            _ => Ok(()),
        };
    }
    let Some(found) = found else { return Err("the kernel does not have it".to_string()) };
    if found.info.deferred_remove && step.calls_off_removal() {
        return Err("the kernel still lets it go as soon as it is closed".to_string());
    }
    if let Some(name) = names.get(uuid)
        && found.info.name != **name
    {
        return Err(format!("the kernel calls it {}, not {name}", found.info.name));
    }
    if let Detail::Create { table, readonly } | Detail::Reload { table, readonly, .. } = &step.detail {
        let wanted = made.complete(table, step.mapping.as_ref());
        match diff::compare(&wanted, *readonly, &found) {
            Verdict::Equal | Verdict::Unknown(_) => {}
            Verdict::Reload(diff) | Verdict::Recreate(diff) => {
                return Err(format!(
                    "the kernel took the table and still shows a difference: {}",
                    diff.says.join("; ")
                ));
            }
        }
    }
    Ok(())
}
