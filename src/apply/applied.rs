//! Keeps an applied plan for as long as it may have to be rolled back.
//!
//! The journal holds all that this needs, old tables and their keys included, so it is kept in memory only. New keys are
//! not needed, and are let go. Time passes meanwhile: a device that another program has changed since is left as it is.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::error::ApplyError;
use super::journal::UndoLog;
use super::mask::Mask;
use super::remnant::{Remnant, RemnantState};
use super::rollback::rollback;
use super::undo::Undo;
use crate::diff::{self, Verdict};
use crate::identity::Name;
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, ReadKernel, Slot};
use crate::plan::Plan;

/// A plan that was carried out, with its undo log.
pub struct Applied {
    journal: UndoLog,
    /// Masks the keys of the tables that are compared.
    mask: Mask,
    /// The devices that the plan touched, as they were at its end, with masked keys.
    left: HashMap<Id, (Name, Option<DeviceState>)>,
    /// Why a device node is not up to date.
    unsettled: Option<ApplyError>,
}

impl Applied {
    /// Reads the devices of `plan`, which was just carried out.
    pub(super) fn new(
        kernel: &dyn ReadKernel,
        plan: &Plan,
        mut journal: UndoLog,
        settled: Result<(), KernelError>,
    ) -> Self {
        // A device that can't be read now counts as changed later, and is then left alone: that is safe, and reported.
        let mask = Mask::default();
        let look = |id: &Id| kernel.device(id, Slot::Live).ok().flatten().map(|state| mask.of(state));
        let steps = plan.steps.iter().map(|step| (step.id(), step.name.clone()));
        let left = steps.map(|(id, name)| (id.clone(), (name, look(&id)))).collect();
        journal.forget_new();
        Self { journal, mask, left, unsettled: settled.err().map(ApplyError::Unsettled) }
    }

    /// Returns why a device node is not up to date, if so. The devices are as planned all the same.
    pub fn unsettled(&self) -> Option<&ApplyError> {
        self.unsettled.as_ref()
    }

    /// Returns `self` if every device node is up to date.
    ///
    /// # Errors
    /// [`ApplyError::Unsettled`] if a device node is not up to date.
    pub fn settled(mut self) -> Result<Self, ApplyError> {
        self.unsettled.take().map_or(Ok(self), Err)
    }

    /// Rolls every change back. Returns what is left of each device that is not as before, in the order in which the
    /// commands that help work.
    pub fn roll_back(self, kernel: &dyn ChangeKernel, patience: Duration) -> Vec<Remnant> {
        let mut undo = Undo::new(kernel, patience);
        if let Err(error) = kernel.begin() {
            undo.left(Remnant::nodes(error));
        }
        let mut changed = HashSet::new();
        let mut devices: Vec<_> = self.left.into_iter().collect();
        devices.sort_by(|(_, (one, _)), (_, (two, _))| one.cmp(two));
        for (id, (name, then)) in devices {
            match kernel.device(&id, Slot::Live).map(|now| now.map(|state| self.mask.of(state))) {
                Ok(now) if same(then.as_ref(), now.as_ref()) => continue,
                Ok(_) => undo.left(Remnant::new(RemnantState::Changed { name }, &id, None)),
                Err(error) => undo.left(Remnant::new(RemnantState::Unreadable { name }, &id, Some(error))),
            }
            changed.insert(id);
        }
        rollback(self.journal.leave(&changed), &mut undo);
        undo.end()
    }
}

/// Whether a device is as it was, apart from values that change by themselves.
fn same(then: Option<&DeviceState>, now: Option<&DeviceState>) -> bool {
    match (then, now) {
        (None, None) => true,
        (Some(then), Some(now)) => {
            let facts = |device: &DeviceState| {
                let info = &device.info;
                (info.name.clone(), info.number, info.suspended, info.read_only)
            };
            facts(then) == facts(now) && (then.table == now.table || means_the_same(then, now))
        }
        _ => false,
    }
}

fn means_the_same(then: &DeviceState, now: &DeviceState) -> bool {
    let then_rows = then.table.understood();
    then_rows.is_ok_and(|rows| diff::compare(&rows, then.info.access(), now) == Verdict::Equal)
}
