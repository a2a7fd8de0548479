//! What was done, so that it can be undone, last things first.

use std::collections::HashSet;

use crate::identity::{DevNum, Name, Uuid};
use crate::kernel::{DeviceState, Id, Info, KernelError};
use crate::plan::LiveTable;
use crate::sync::Mutex;
use crate::table::RawRow;

use super::swap::Members;

/// One change that was made.
pub enum Done {
    /// A device was made. It may have a table by now.
    Created {
        /// The device.
        id: Id,
        /// Its name.
        name: Name,
    },
    /// A device that somebody made and left without a table was given one.
    Finished {
        /// The device as it was.
        shell: Old,
    },
    /// A table was put into an inactive slot.
    Loaded {
        /// The device.
        id: Id,
        /// Its name.
        name: Name,
    },
    /// Tables of a stack were swapped, all of them or some.
    Swapped {
        /// The stack, lower devices first.
        members: Members,
    },
    /// A device was renamed.
    Renamed {
        /// The device.
        id: Id,
        /// Its old name.
        from: Name,
        /// Its new name.
        to: Name,
    },
    /// A device was destroyed.
    Removed {
        /// The device as it was.
        old: Old,
    },
    /// A removal was called off that waited for the last close.
    Kept {
        /// The device.
        id: Id,
        /// Its name.
        name: Name,
    },
    /// I/O was held back.
    Suspended {
        /// The device.
        id: Id,
        /// Its name.
        name: Name,
    },
    /// I/O was let through.
    Resumed {
        /// The device.
        id: Id,
        /// Its name.
        name: Name,
    },
}

/// A device as it was before it was destroyed.
#[derive(Clone)]
pub struct Old {
    /// Its name.
    pub name: Name,
    /// Its uuid.
    pub uuid: Option<Uuid>,
    /// Its number.
    pub number: Option<DevNum>,
    /// Its live table; without rows when it had none.
    pub live: LiveTable,
    /// Whether it was suspended.
    pub suspended: bool,
}

impl Old {
    /// The state of `device`.
    pub fn of(device: DeviceState) -> Self {
        let live = LiveTable::of(&device);
        let Info { name, uuid, number, suspended, .. } = device.info;
        Self { name, uuid, number: Some(number), live, suspended }
    }

    /// How the kernel is asked about it.
    pub fn id(&self) -> Id {
        Id::stable(&self.name, self.uuid.as_ref())
    }

    /// What is told when it can't be made again.
    pub fn lost(&self, error: &KernelError) -> String {
        format!(
            "{0} was removed, and can't be made again as it was: {error}; `dmctl create {0}` makes it from its old table:{1}",
            self.name,
            table(&self.live.rows)
        )
    }
}

/// All changes that were made, in the order in which they were done. What waits for a change begins after that
/// is noted, so backwards is a way back, whatever was done side by side.
#[derive(Default)]
pub struct Journal(Mutex<Vec<Done>>);

impl Journal {
    /// Notes a change.
    pub fn push(&self, done: Done) {
        self.0.lock().push(done);
    }

    /// Forgets what was done to `these` devices: it is not undone.
    #[must_use]
    pub fn leave(mut self, these: &HashSet<Id>) -> Self {
        let done = self.0.get_mut();
        done.retain_mut(|done| match done {
            Done::Created { id, .. }
            | Done::Loaded { id, .. }
            | Done::Renamed { id, .. }
            | Done::Suspended { id, .. }
            | Done::Resumed { id, .. }
            | Done::Kept { id, .. } => !these.contains(id),
            Done::Finished { shell: old } | Done::Removed { old } => !these.contains(&old.id()),
            Done::Swapped { members } => {
                let all = std::mem::take(members).into_vec().into_iter();
                *members = all.filter(|member| !these.contains(&member.id)).collect();
                !members.is_empty()
            }
        });
        self
    }

    /// Returns the changes, last things first.
    pub fn backwards(self) -> impl Iterator<Item = Done> {
        self.0.into_inner().into_iter().rev()
    }
}

/// The rows of a table, for a person to load again; keys are left out.
fn table(table: &[RawRow]) -> String {
    table.iter().fold(String::new(), |text, row| format!("{text}\n    {row}"))
}
