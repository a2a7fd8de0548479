//! What was done, so that it can be undone, last things first.

use crate::identity::{Name, Uuid};
use crate::kernel::{ChangeKernel, Id, KernelError, Suspend};
use crate::table::Table;

use super::swap::{self, Member};

/// One change that was made.
pub enum Done {
    /// A device was made. It may have a table by now.
    Created {
        /// The device.
        id: Id,
    },
    /// A table was put into an inactive slot.
    Loaded {
        /// The device.
        id: Id,
    },
    /// Tables of a stack were swapped, all of them or some.
    Swapped {
        /// The stack, lower devices first.
        members: Vec<Member>,
    },
    /// A device was renamed.
    Renamed {
        /// Its old name.
        from: Name,
        /// Its new name.
        to: Name,
    },
    /// A device was destroyed.
    Removed {
        /// Its name.
        name: Name,
        /// Its uuid.
        uuid: Option<Uuid>,
        /// Its table.
        table: Table,
        /// Whether that was loaded read-only.
        readonly: bool,
    },
    /// I/O was held back.
    Suspended {
        /// The device.
        id: Id,
    },
    /// I/O was let through.
    Resumed {
        /// The device.
        id: Id,
    },
}

/// All changes that were made, in order.
#[derive(Default)]
pub struct Journal(Vec<Done>);

impl Journal {
    /// Notes a change.
    pub fn push(&mut self, done: Done) {
        self.0.push(done);
    }

    /// Undoes everything. Gives what could not be undone: what is left, and what to do.
    pub fn undo(self, kernel: &dyn ChangeKernel) -> Vec<String> {
        let mut left = Vec::new();
        for done in self.0.into_iter().rev() {
            if let Err(says) = undo(kernel, done) {
                left.push(says);
            }
        }
        if let Err(error) = kernel.settle() {
            left.push(error.to_string());
        }
        left
    }
}

fn undo(kernel: &dyn ChangeKernel, done: Done) -> Result<(), String> {
    match done {
        Done::Created { id } => {
            kernel.remove(&id, false).map_err(|error| format!("{error}; remove it with `dmctl remove`"))
        }
        // A swap that came after has emptied the slot; clearing it again does no harm.
        Done::Loaded { id } => {
            kernel.clear(&id).map_err(|error| format!("{error}; `dmctl repair` clears it"))
        }
        Done::Swapped { members } => swap::put_back(kernel, &members),
        Done::Renamed { from, to } => kernel
            .rename(&to, &from)
            .map_err(|error| format!("{error}; rename it with `dmctl rename {to} {from}`")),
        Done::Removed { name, uuid, table, readonly } => {
            make_again(kernel, &name, uuid.as_ref(), &table, readonly)
                .map_err(|error| format!("{name} was removed and could not be made again: {error}"))
        }
        Done::Suspended { id } => {
            kernel.resume(&id).map_err(|error| format!("{error}; resume it with `dmctl resume`"))
        }
        Done::Resumed { id } => kernel.suspend(&id, Suspend::default()).map_err(|error| error.to_string()),
    }
}

fn make_again(
    kernel: &dyn ChangeKernel,
    name: &Name,
    uuid: Option<&Uuid>,
    table: &[crate::table::Target],
    readonly: bool,
) -> Result<(), KernelError> {
    kernel.create(name, uuid)?;
    let id = uuid.map_or_else(|| Id::Name(name.clone()), |uuid| Id::Uuid(uuid.clone()));
    if table.is_empty() {
        return Ok(());
    }
    kernel.load(&id, table, readonly)?;
    kernel.resume(&id)
}
