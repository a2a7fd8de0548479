//! A step of a plan: the device, what is at stake, and one operation with all that it needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Action, Cause, Held, InUse, Reason, Refusal};
use crate::access::Access;
use crate::diff::TableDiff;
use crate::identity::{DevNum, Key, Name, Uuid};
use crate::kernel::{DeviceState, Id, Suspend};
use crate::observed::{Observed, Seen};
use crate::policy::Class;
use crate::table::{ReadTable, Row};
use crate::targets::MessageText;

/// The message to Device Mapper itself that cancels a deferred removal (`message_for_md` in
/// `drivers/md/dm-ioctl.c`).
pub const CANCEL_REMOVAL: &str = "@cancel_deferred_remove";

/// A change to one device, with its reason, its risk and its refusal.
#[derive(Clone)]
pub struct Step {
    /// The mapping it is for. `None` for an orphan whose uuid holds no valid key, or the key of another mapping.
    pub mapping: Option<Key>,
    /// The name of the device when the step begins.
    pub name: Name,
    /// The uuid that the device is found by, or that the step gives it; `None` where it is found by its name.
    pub uuid: Option<Uuid>,
    /// The number of the device, when it exists already.
    pub number: Option<DevNum>,
    /// The risk class, which the map or the user must have approved.
    pub class: Class,
    /// Why the step may not be carried out, if it may not.
    pub refused: Option<Refusal>,
    /// Why the step is needed.
    pub reason: Reason,
    /// What is done to the device.
    pub operation: Operation,
}

/// What a step does to its device.
#[derive(Clone)]
pub enum Operation {
    /// Make the device, load its table and let I/O through.
    Create(Create),
    /// Swap its table for another.
    Reload(Arc<Reload>),
    /// Give it another name.
    Rename {
        /// The name that the device gets.
        to: Name,
    },
    /// Give it the uuid of the step.
    SetUuid,
    /// Destroy the device and both of its tables.
    Remove(Box<Remove>),
    /// Hold I/O back.
    Suspend {
        /// The flags of the suspend.
        how: Suspend,
        /// The users of the device.
        users: Box<InUse>,
    },
    /// Let I/O through again.
    Resume {
        /// Whether a table in the inactive slot is cleared first, so that it does not become live.
        clear: bool,
    },
    /// Empty its inactive slot.
    Clear,
    /// Send it a message.
    Message(Message),
}

/// The creation of a device.
#[derive(Clone)]
pub struct Create {
    /// The table of the device. Its lower devices have numbers as far as they exist.
    pub table: Arc<[Row]>,
    /// The access with which the table is loaded.
    pub access: Access,
    /// The devices that are suspended while its snapshots are made, upper ones first.
    pub held: Arc<[Held]>,
}

/// The table that a device has before a step, as the kernel printed it.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveTable {
    /// The rows; empty for a device that never got a table.
    pub rows: ReadTable,
    /// The access with which the table was loaded.
    pub access: Access,
}

/// A table that replaces another.
pub struct Reload {
    /// The new table, with a number for every lower device that exists.
    pub table: Arc<[Row]>,
    /// The access with which the new table is loaded.
    pub access: Access,
    /// The table that the device has.
    pub old: LiveTable,
    /// The difference of the two tables.
    pub diff: Arc<TableDiff>,
    /// The flags of the suspend for the swap.
    pub suspend: Suspend,
    /// Whether the device is suspended before the step.
    pub suspended: bool,
    /// The users of the device.
    pub users: InUse,
    /// The devices of other mappings that it uses through devices outside of the map.
    pub(crate) through: Through,
    /// The devices that are suspended while its snapshots are made, upper ones first.
    pub held: Arc<[Held]>,
}

/// The devices of mappings below a device, through devices that are not swapped with it: those outside of the map, and those
/// that keep their tables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Through {
    /// With the table that the device has.
    pub old: Vec<DevNum>,
    /// With the new table.
    pub new: Vec<DevNum>,
}

/// The removal of a device.
#[derive(Clone)]
pub struct Remove {
    /// The table that the device has.
    pub old: LiveTable,
    /// The users of the device.
    pub users: InUse,
}

/// A message to a target, or to Device Mapper itself.
#[derive(Clone)]
pub struct Message {
    /// A sector of the target that receives the message.
    pub sector: u64,
    /// The words of the message, as the target reads them.
    pub text: MessageText,
    /// Set when the message prepares a lower device for a table.
    pub prepares: Option<Box<Preparation>>,
}

/// The preparation that a message to a lower device does. A lower device that is prepared already is not a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preparation {
    /// The volume that is copied. The device that serves it is suspended meanwhile.
    pub copies: Option<u32>,
    /// The mapping that serves that volume, with its uuid, when it is one of the map.
    pub origin: Option<(Key, Uuid)>,
}

impl Step {
    /// Returns the users of a device that becomes read-only while it is open.
    pub(super) fn users_of_read_only(&self) -> Option<&InUse> {
        let Operation::Reload(reload) = &self.operation else { return None };
        let closes = reload.access.is_read_only() && !reload.old.access.is_read_only();
        (closes && reload.users.open_count > 0).then_some(&reload.users)
    }
}

impl LiveTable {
    /// The live table of `device`.
    pub fn of(device: &DeviceState) -> Self {
        Self { rows: device.table.clone(), access: device.info.access() }
    }

    /// No table, of a device with this access.
    pub fn none(access: Access) -> Self {
        Self { rows: ReadTable::default(), access }
    }
}

impl Reload {
    /// Whether the device never had a table before.
    pub fn is_first_table(&self) -> bool {
        self.old.rows.is_empty()
    }
}

impl Message {
    /// Whether the message or step cancels a deferred removal.
    pub fn cancels_removal(&self) -> bool {
        self.text.reveal() == CANCEL_REMOVAL
    }
}

impl Operation {
    /// The kind of operation.
    pub fn action(&self) -> Action {
        match self {
            Self::Create(_) => Action::Create,
            Self::Reload(_) => Action::Reload,
            Self::Rename { .. } => Action::Rename,
            Self::SetUuid => Action::SetUuid,
            Self::Remove(_) => Action::Remove,
            Self::Suspend { .. } => Action::Suspend,
            Self::Resume { .. } => Action::Resume,
            Self::Clear => Action::Clear,
            Self::Message(_) => Action::Message,
        }
    }
}

impl Step {
    /// The kind of operation.
    pub fn action(&self) -> Action {
        self.operation.action()
    }

    /// The identity that the kernel is asked by: the uuid where there is one, for names can move.
    pub fn id(&self) -> Id {
        match &self.uuid {
            Some(uuid) if !matches!(self.operation, Operation::SetUuid) => Id::Uuid(uuid.clone()),
            _ => Id::Name(self.name.clone()),
        }
    }

    /// Whether the step suspends a device until a later step of the plan gives it another table.
    pub fn holds_writes(&self) -> bool {
        matches!(self.operation, Operation::Suspend { .. })
            && matches!(self.reason.cause, Cause::CopiedBelow(_))
    }

    /// Whether the message or step cancels a deferred removal.
    pub fn cancels_removal(&self) -> bool {
        matches!(&self.operation, Operation::Message(message) if message.cancels_removal())
    }

    /// The table that the step loads, and how.
    pub fn new_table(&self) -> Option<(&[Row], Access)> {
        match &self.operation {
            Operation::Create(create) => Some((&create.table, create.access)),
            Operation::Reload(reload) => Some((&reload.table, reload.access)),
            _ => None,
        }
    }

    /// The devices that are suspended while the step makes snapshots, upper ones first.
    pub fn held(&self) -> &[Held] {
        match &self.operation {
            Operation::Create(create) => &create.held,
            Operation::Reload(reload) => &reload.held,
            _ => &[],
        }
    }

    /// The name that the device has after the step, where the step gives it one.
    pub fn takes_name(&self) -> Option<&Name> {
        match &self.operation {
            Operation::Create(_) => Some(&self.name),
            Operation::Rename { to } => Some(to),
            _ => None,
        }
    }

    /// The devices that the device uses before the step, and does not afterwards.
    pub fn released_devices(&self, observed: &Observed) -> BTreeSet<DevNum> {
        let seen = || self.number.and_then(|number| observed.by_number(number));
        let inactive = || seen().map(inactive_devices).unwrap_or_default();
        match &self.operation {
            Operation::Reload(reload) => {
                let mut released: BTreeSet<DevNum> =
                    reload.old.rows.lower_devices().iter().copied().collect();
                released.extend(inactive());
                for row in &*reload.table {
                    for lower in row.lower_devices() {
                        lower.device.number.map(|number| released.remove(&number));
                    }
                }
                released
            }
            Operation::Remove(removal) => {
                let mut released: BTreeSet<DevNum> =
                    removal.old.rows.lower_devices().iter().copied().collect();
                released.extend(inactive());
                released
            }
            Operation::Clear | Operation::Resume { clear: true } => {
                let mut released = inactive();
                if let Some(live) = seen().and_then(|seen| seen.mapped.as_ref()) {
                    released.retain(|number| !live.table.lower_devices().contains(number));
                }
                released
            }
            _ => BTreeSet::new(),
        }
    }
}

fn inactive_devices(seen: &Seen) -> BTreeSet<DevNum> {
    seen.waiting.lower_devices().iter().copied().collect()
}
