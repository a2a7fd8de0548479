//! Records each change that an apply makes, so that it can be undone, the last one first.

use std::collections::HashSet;

use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{DeviceState, Id, Info};
use crate::plan::LiveTable;
use crate::sync::Mutex;

use super::swap::{Member, Members};

/// A change that was made.
pub(crate) enum UndoEntry {
    /// A device was made. It may have a table by now.
    Created { id: Id, name: Name },
    /// A device that was found without a table was given its first one.
    Finished {
        /// The device as it was.
        shell: PriorState,
    },
    /// A table was put into an inactive slot.
    Loaded { id: Id, name: Name },
    /// Tables of a stack were swapped, all of them or some.
    Swapped {
        /// The stack, lower devices first.
        members: Members,
    },
    /// A device was renamed.
    Renamed { id: Id, from: Name, to: Name },
    /// A device was removed.
    Removed {
        /// The device as it was.
        old: PriorState,
    },
    /// A deferred removal was cancelled.
    Kept { id: Id, name: Name },
    /// A device was suspended.
    Suspended { id: Id, name: Name },
    /// A device was resumed.
    Resumed { id: Id, name: Name },
}

/// The state of a device before it was changed.
#[derive(Clone)]
pub(crate) struct PriorState {
    pub name: Name,
    pub uuid: Option<Uuid>,
    pub number: Option<DevNum>,
    /// Its live table, without rows when it had none.
    pub live: LiveTable,
    /// Whether it was suspended.
    pub suspended: bool,
}

impl PriorState {
    /// Takes the state of `device`.
    pub(crate) fn of(device: DeviceState) -> Self {
        let live = LiveTable::of(&device);
        let Info { name, uuid, number, suspended, .. } = device.info;
        Self { name, uuid, number: Some(number), live, suspended }
    }

    /// Returns the identity by which the kernel is asked about the device.
    pub(crate) fn id(&self) -> Id {
        Id::stable(&self.name, self.uuid.as_ref())
    }
}

/// All changes that were made, in the order in which they were made. A task that waits for a change begins only after
/// the change is recorded, so backwards is a way back, whichever tasks ran at the same time.
#[derive(Default)]
pub(crate) struct UndoLog(Mutex<Vec<UndoEntry>>);

impl UndoLog {
    pub(crate) fn push(&self, entry: UndoEntry) {
        self.0.lock().push(entry);
    }

    /// Lets go of the new tables: a way back needs the old ones.
    pub(crate) fn forget_new(&mut self) {
        for entry in self.0.get_mut() {
            if let UndoEntry::Swapped { members } = entry {
                members.iter_mut().for_each(Member::forget_new);
            }
        }
    }

    /// Drops the changes of `these` devices: they are not undone.
    pub(crate) fn leave(mut self, these: &HashSet<Id>) -> Self {
        self.0.get_mut().retain_mut(|entry| match entry {
            UndoEntry::Created { id, .. }
            | UndoEntry::Loaded { id, .. }
            | UndoEntry::Renamed { id, .. }
            | UndoEntry::Suspended { id, .. }
            | UndoEntry::Resumed { id, .. }
            | UndoEntry::Kept { id, .. } => !these.contains(id),
            UndoEntry::Finished { shell: old } | UndoEntry::Removed { old } => !these.contains(&old.id()),
            UndoEntry::Swapped { members } => {
                let all = std::mem::take(members).into_vec().into_iter();
                *members = all.filter(|member| !these.contains(&member.id)).collect();
                !members.is_empty()
            }
        });
        self
    }

    /// Returns the changes, the last one first.
    pub(crate) fn backwards(self) -> impl Iterator<Item = UndoEntry> {
        self.0.into_inner().into_iter().rev()
    }
}
