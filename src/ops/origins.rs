//! Holds the devices that write the origin of a snapshot while the snapshot is made live.
//!
//! A snapshot keeps what its origin had only if the devices that write the origin are suspended meanwhile and resumed after
//! it: how their writes are split follows from the snapshots that are there at that resume (`origin_resume` in
//! `drivers/md/dm-snap.c`), and what a file system above has not written yet is not in the snapshot.

use std::collections::HashMap;

use super::find::stable_id;
use super::{Foreign, LeftState, OpError, circle};
use crate::identity::{DevNum, Name};
use crate::kernel::{ChangeKernel, DeviceState, Id, KernelError, ListEntry, ReadKernel, Slot, Suspend};
use crate::stack::{NamedStacks, Position as _, Reach, position};
use crate::table::RawRow;
use crate::targets::{self, OriginUse};

position! {
    /// A device that is held.
    struct HeldId;
}

/// The devices that are suspended while a snapshot is made live, upper ones first.
pub(super) struct Writers(Vec<DeviceState>);

impl Writers {
    /// Finds the active devices, apart from `own`, that write an origin of a snapshot in `table`, and the mapped devices above
    /// them. One that its uuid marks as another subsystem's is refused where it writes the origin, and passed over above that,
    /// unless `foreign` allows it. The lower devices in the table are numbers.
    pub(super) fn find(
        kernel: &dyn ReadKernel,
        table: &[RawRow],
        own: Option<DevNum>,
        foreign: Foreign,
    ) -> Result<Self, OpError> {
        let origins: Vec<DevNum> = table.iter().filter_map(|row| origin(row, Part::Keeps)).collect();
        if origins.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let mut holders = Vec::new();
        for origin in &origins {
            holders.extend(kernel.users(*origin)?.holders);
        }
        let mut reach = Reach::from_iter(holders);
        let is_active = |state: &DeviceState| state.info.live_table && !state.info.suspended;
        let id = |listed: ListEntry| (listed.number, Id::stable(&listed.name, listed.uuid.as_ref()));
        let listed: HashMap<DevNum, Id> = kernel.list()?.into_iter().map(id).collect();
        let mut found: Vec<(DeviceState, Vec<DevNum>)> = Vec::new();
        while let Some(number) = reach.next() {
            let Some(id) = listed.get(&number).filter(|_| Some(number) != own) else { continue };
            let Some(state) = kernel.device(id, Slot::Live)? else { continue };
            let writes = |row: &RawRow| origin(row, Part::Writes).is_some_and(|of| origins.contains(&of));
            let is_writer = state.table.iter().any(writes);
            // Another user of the origin, such as a snapshot of it, is not held.
            if !is_writer && !found.iter().any(|(_, above)| above.contains(&number)) {
                continue;
            }
            let permitted = foreign.check(&state.info.name, state.info.uuid.as_ref());
            if !is_active(&state) || (!is_writer && permitted.is_err()) {
                continue;
            }
            permitted?;
            circle::refuse_stuck(kernel, &state)?;
            let above = kernel.users(number)?.holders;
            reach.extend(above.iter().copied());
            found.push((state, above));
        }
        Ok(Self::top_down(found))
    }

    fn top_down(found: Vec<(DeviceState, Vec<DevNum>)>) -> Self {
        let lowers = |number: DevNum| {
            found.iter().filter(move |(_, above)| above.contains(&number)).map(|(state, _)| state.info.number)
        };
        let stacks: NamedStacks<DevNum, HeldId> = found
            .iter()
            .map(|(state, _)| (state.info.number, lowers(state.info.number).collect::<Vec<_>>()))
            .collect();
        let order: Vec<usize> = stacks.bottom_up().into_iter().rev().map(HeldId::index).collect();
        let mut states: Vec<Option<DeviceState>> = found.into_iter().map(|(state, _)| Some(state)).collect();
        Self(order.into_iter().filter_map(|at| states[at].take()).collect())
    }

    /// Does `work` while the devices are suspended. `refused` makes the error of a device that can't be suspended, when the
    /// others are resumed. The first error counts.
    pub(super) fn around<T>(
        self,
        kernel: &dyn ChangeKernel,
        refused: impl FnOnce(KernelError) -> OpError,
        work: impl FnOnce() -> Result<T, OpError>,
    ) -> Result<T, OpError> {
        if self.0.is_empty() {
            return work();
        }
        // A page of this process that is on one of these devices would never be read.
        let _memory = kernel.lock_memory();
        let mut held = Vec::with_capacity(self.0.len());
        for state in &self.0 {
            let id = stable_id(&state.info);
            if let Err(cause) = kernel.suspend(&id, Suspend::default()) {
                let resumed = resume(kernel, held);
                return Err(match resumed {
                    Ok(()) => refused(cause),
                    Err((recovery, left)) => OpError::not_put_back(cause, recovery, left),
                });
            }
            held.push((id, &state.info.name));
        }
        let outcome = work();
        match (outcome, resume(kernel, held)) {
            (outcome, Ok(())) => outcome,
            (Err(OpError::Refused { cause, .. }), Err((recovery, left))) => {
                Err(OpError::not_put_back(cause, recovery, left))
            }
            (Err(error), Err(_)) => Err(error),
            (Ok(_), Err((cause, left))) => Err(OpError::Held { cause: Box::new(cause), left }),
        }
    }
}

/// Resumes every device, lower ones first, each with a second try. Returns the first error, and the device that it is about.
fn resume(kernel: &dyn ChangeKernel, held: Vec<(Id, &Name)>) -> Result<(), (KernelError, LeftState)> {
    let mut outcome = Ok(());
    for (id, name) in held.into_iter().rev() {
        let resumed = kernel.resume(&id).or_else(|_| kernel.resume(&id));
        let failed = |error| (error, LeftState::Suspended { name: name.clone() });
        outcome = outcome.and(resumed.map_err(failed));
    }
    outcome
}

/// The part of a target in the snapshots of a device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Writes,
    Keeps,
}

/// Returns the number of the device of whose snapshots a row is this part.
fn origin(row: &RawRow, part: Part) -> Option<DevNum> {
    let target = targets::parse(&row.kind, row.params()).ok()?;
    match target.origin_use()? {
        OriginUse::Writes(device) if part == Part::Writes => device.number,
        OriginUse::Keeps { origin, .. } if part == Part::Keeps => origin.number,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;
    use crate::kernel::simulated::Simulated;
    use crate::ops::fixture::{changes, kernel_with, row};
    use crate::ops::{self, CreateOptions};

    /// `base`, its snapshot-origin `o`, and `top` above that.
    fn kernel() -> Simulated {
        kernel_with(&["base", "o", "top"], |mappings| {
            mappings[1].live = Some(vec![row("snapshot-origin", "254:0")]);
            mappings[2].live = Some(vec![row("linear", "254:1 0")]);
        })
    }

    fn snapshot() -> [RawRow; 1] {
        [RawRow::new(0, 8, "snapshot", "254:0 8:0 N 8".to_string())]
    }

    fn create(kernel: &Simulated) -> Result<(), OpError> {
        ops::create(kernel, &Name::new("s").unwrap(), &snapshot(), CreateOptions::default()).map(drop)
    }

    #[test]
    fn a_new_snapshot_is_made_live_while_its_origin_is_held() {
        let kernel = kernel();
        create(&kernel).unwrap();
        let calls = ["create s", "load s", "suspend top", "suspend o", "resume s", "resume o", "resume top"];
        assert_eq!(changes(&kernel), calls);
    }

    #[test]
    fn a_reload_and_a_resume_hold_it_as_well() {
        let kernel = kernel();
        let name = Name::new("s").unwrap();
        let zero = RawRow::new(0, 8, "zero", String::new());
        ops::create(&kernel, &name, std::slice::from_ref(&zero), CreateOptions::default()).unwrap();
        let before = changes(&kernel).len();
        ops::reload(&kernel, &name, &snapshot(), Foreign::Refuse).unwrap();
        let held = ["suspend top", "suspend o", "resume s", "resume o", "resume top"];
        assert_eq!(changes(&kernel)[before..], [&["load s"], &held[..]].concat());
        ops::reload(&kernel, &name, &[zero], Foreign::Refuse).unwrap();
        kernel.load(&Id::Name(name.clone()), &snapshot(), crate::access::Access::Writable).unwrap();
        let before = changes(&kernel).len();
        ops::resume(&kernel, &name, Foreign::Refuse).unwrap();
        assert_eq!(changes(&kernel)[before..], held);
    }

    #[test]
    fn whichever_call_fails_the_origin_serves_again() {
        for nth in 1..=5 {
            let kernel = kernel();
            kernel.fail_nth(nth, Errno::EIO);
            assert!(matches!(create(&kernel), Err(OpError::Refused { .. })), "{nth}");
            let states = kernel.list().unwrap();
            assert_eq!(states.len(), 3, "{nth}: the snapshot is removed again");
            for listed in states {
                assert!(!ops::by_name(&kernel, &listed.name).unwrap().suspended, "{nth}");
            }
        }
    }

    #[test]
    fn an_origin_of_another_subsystem_is_held_only_when_that_is_allowed() {
        let kernel = kernel_with(&["base", "o"], |mappings| {
            mappings[1].live = Some(vec![row("snapshot-origin", "254:0")]);
            mappings[1].uuid = Some("LVM-x".to_string());
        });
        assert!(matches!(create(&kernel), Err(OpError::Foreign { subsystem: "LVM", .. })));
        assert_eq!(changes(&kernel), [""; 0]);
        let options = CreateOptions { origins: Foreign::Allow, ..CreateOptions::default() };
        ops::create(&kernel, &Name::new("s").unwrap(), &snapshot(), options).unwrap();
        assert_eq!(changes(&kernel), ["create s", "load s", "suspend o", "resume s", "resume o"]);
    }
}
