//! What has changed since a plan was saved, so that it is not the plan any more.

use std::fmt;

use smol_str::SmolStr;
use thiserror::Error;

use super::device_record::{DeviceRecord, Locator, MappedState};
use crate::kernel::{Hallmarks, Sameness};
use crate::plan::document::{Document, Remark, Step};
use crate::plan::{self, Action};

/// A change that makes a saved plan stale. Its `Display` is a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Change {
    /// The files of the map have another content.
    #[error("the files of the map say something else now")]
    Map,
    /// The files of the map hold another key.
    #[error("a key in the files of the map is another one now")]
    Key,
    /// A device has another state.
    #[error("{}", device_sentence(.name, .change))]
    Device {
        /// The device: a plain name, or a path, tag or number.
        name: String,
        /// How its state differs from the record.
        change: DeviceChange,
    },
    /// A step would do something else.
    #[error("`{step}` would be done otherwise now: {need}")]
    Step {
        /// The step as the saved plan has it.
        step: StepName,
        /// Why the step is needed now.
        need: String,
    },
    /// Another step would come in the place of one.
    #[error("`{now}` would come where `{saved}` was")]
    OtherStep {
        /// The step that would be made now.
        now: StepName,
        /// The step that was saved.
        saved: StepName,
    },
    /// There would be more steps, or fewer.
    #[error("there would be {now} steps now, there were {saved}")]
    StepCount {
        /// The count of the steps that would be made now.
        now: usize,
        /// The count of the steps that were saved.
        saved: usize,
    },
    /// The map conflicts with the kernel where it did not.
    #[error("there is a conflict now: {mapping}: {reason}")]
    Conflict {
        /// The key of the mapping.
        mapping: String,
        /// The sentence about the conflict.
        reason: String,
    },
    /// A conflict of the plan has gone.
    #[error("a conflict of the plan has gone: {mapping}: {reason}")]
    ConflictGone {
        /// The key of the mapping.
        mapping: String,
        /// The sentence about the conflict.
        reason: String,
    },
}

/// The difference of one device from its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceChange {
    /// The device with this number does not exist any more.
    Gone(String),
    /// The device exists now, with this number.
    Appeared(String),
    /// The device has another number.
    Number {
        /// The number in the record.
        was: String,
        /// The number that it has now.
        is: String,
    },
    /// The device has another size, in sectors.
    Sectors {
        /// The size in the record.
        was: u64,
        /// The size that it has now.
        is: u64,
    },
    /// Another device has the number and the path.
    Another {
        /// What the one in the record is known by.
        was: Box<Hallmarks>,
        /// What the one is known by that is there now.
        is: Box<Hallmarks>,
    },
    /// The device has the number and the path, and whether it is the one of the record can't be told.
    Unknown {
        /// What the one in the record is known by.
        was: Box<Hallmarks>,
        /// What the one is known by that is there now.
        is: Box<Hallmarks>,
    },
    /// The device refuses writes now (`true`), or takes them.
    ReadOnly(bool),
    /// The locator leads to a device of another kind.
    Replaced,
    /// The device has this name now.
    Renamed(String),
    /// The device has another uuid.
    Uuid,
    /// The device is suspended now (`true`), or resumed.
    Suspended(bool),
    /// The inactive slot holds a table now (`true`), or is empty.
    InactiveTable(bool),
    /// A row of the live table is another.
    Row {
        /// The row in the record.
        was: String,
        /// The row that it has now.
        is: String,
    },
    /// The live table has more rows, or fewer.
    RowCount {
        /// The count in the record.
        was: usize,
        /// The count of its rows now.
        is: usize,
    },
}

/// The action of a step and the device it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepName {
    /// The action of the step.
    pub action: Action,
    /// The plain name of the device.
    pub device: SmolStr,
}

impl StepName {
    fn of_saved(step: &Step) -> Self {
        Self { action: step.action, device: step.name.clone() }
    }

    pub(super) fn of(step: &plan::Step) -> Self {
        Self { action: step.action(), device: step.name.plain_text() }
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action.name(), self.device)
    }
}

fn device_sentence(name: &str, change: &DeviceChange) -> String {
    match change {
        DeviceChange::Gone(number) => format!("`{name}` ({number}) is gone"),
        DeviceChange::Appeared(number) => format!("`{name}` ({number}) exists now"),
        DeviceChange::Number { was, is } => format!("`{name}` has the number {is}, it had {was}"),
        DeviceChange::Sectors { was, is } => format!("`{name}` has {is} sectors, it had {was}"),
        DeviceChange::Another { was, is } => {
            format!("`{name}` is another device now: it is known by {is}, the one of the plan by {was}")
        }
        DeviceChange::Unknown { was, is } => format!(
            "whether `{name}` is the device of the plan can't be told: that one was known by {was}, this one by {is}; let \
             `/sys` and the links of udev show it, or make the plan again"
        ),
        DeviceChange::ReadOnly(true) => format!("`{name}` is read-only now"),
        DeviceChange::ReadOnly(false) => format!("`{name}` is writable now"),
        DeviceChange::Replaced => format!("`{name}` is another device now"),
        DeviceChange::Renamed(is) => format!("`{name}` is called `{is}` now"),
        DeviceChange::Uuid => format!("`{name}` has another uuid"),
        DeviceChange::Suspended(true) => format!("`{name}` is suspended now"),
        DeviceChange::Suspended(false) => format!("`{name}` is resumed now"),
        DeviceChange::InactiveTable(true) => format!("the inactive slot of `{name}` holds a table now"),
        DeviceChange::InactiveTable(false) => format!("the inactive slot of `{name}` is empty now"),
        DeviceChange::Row { was, is } => format!("the table of `{name}` has changed: `{was}` is `{is}` now"),
        DeviceChange::RowCount { was, is } => {
            format!("the table of `{name}` has changed: it had {was} rows, it has {is}")
        }
    }
}

/// Compares a device with its record.
pub(super) fn of_device(was: &DeviceRecord, is: &DeviceRecord) -> Vec<Change> {
    let name = match (&was.by, was.mapped.as_ref().or(is.mapped.as_ref())) {
        (_, Some(mapped)) => &mapped.name,
        (Locator::Name(name) | Locator::Uuid(name) | Locator::Device(name), None) => name.as_str(),
    };
    let changes = match (&was.number, &is.number) {
        (Some(number), None) => vec![DeviceChange::Gone(number.clone())],
        (None, Some(number)) => vec![DeviceChange::Appeared(number.clone())],
        (None, None) => Vec::new(),
        (Some(number), Some(number_now)) => {
            let mut changes = Vec::new();
            if number != number_now {
                changes.push(DeviceChange::Number { was: number.clone(), is: number_now.clone() });
            }
            changes.extend(of_state(was, is));
            changes
        }
    };
    changes.into_iter().map(|change| Change::Device { name: name.to_string(), change }).collect()
}

fn of_state(was: &DeviceRecord, is: &DeviceRecord) -> Vec<DeviceChange> {
    let mut changes = Vec::new();
    if let (Some(was), Some(is)) = (was.sectors, is.sectors)
        && was != is
    {
        changes.push(DeviceChange::Sectors { was, is });
    }
    if let (Some(was), Some(is)) = (&was.hallmarks, &is.hallmarks) {
        let both = || (Box::new(was.clone()), Box::new(is.clone()));
        changes.extend(match was.compare(is) {
            Sameness::Same => None,
            Sameness::Another => Some(both()).map(|(was, is)| DeviceChange::Another { was, is }),
            Sameness::Unknown => Some(both()).map(|(was, is)| DeviceChange::Unknown { was, is }),
        });
    }
    if was.read_only != is.read_only {
        changes.push(DeviceChange::ReadOnly(is.read_only));
    }
    match (&was.mapped, &is.mapped) {
        (Some(was), Some(is)) => changes.extend(of_mapped(was, is)),
        (None, None) => {}
        _ => changes.push(DeviceChange::Replaced),
    }
    changes
}

fn of_mapped(was: &MappedState, is: &MappedState) -> Vec<DeviceChange> {
    let mut changes = Vec::new();
    if was.name != is.name {
        changes.push(DeviceChange::Renamed(is.name.clone()));
    }
    if was.uuid != is.uuid {
        changes.push(DeviceChange::Uuid);
    }
    if was.suspended != is.suspended {
        changes.push(DeviceChange::Suspended(is.suspended));
    }
    if was.inactive_table != is.inactive_table {
        changes.push(DeviceChange::InactiveTable(is.inactive_table));
    }
    if was.table != is.table {
        changes.push(match was.table.iter().zip(&is.table).find(|(was, is)| was != is) {
            Some((was, is)) => DeviceChange::Row { was: was.clone(), is: is.clone() },
            None => DeviceChange::RowCount { was: was.table.len(), is: is.table.len() },
        });
    }
    changes
}

/// Compares the steps that were saved with those that would be made now, and returns the first difference.
pub(super) fn of_steps(saved: &Document, now: &Document) -> Option<Change> {
    let differ = |(one, two): &(&Step, &Step)| decisive(one) != decisive(two);
    if let Some((was, is)) = saved.steps.iter().zip(&now.steps).find(differ) {
        let (saved, now) = (StepName::of_saved(was), StepName::of_saved(is));
        return Some(if saved == now {
            Change::Step { step: now, need: is.reason().into_owned() }
        } else {
            Change::OtherStep { now, saved }
        });
    }
    let (now, saved) = (now.steps.len(), saved.steps.len());
    (now != saved).then_some(Change::StepCount { now, saved })
}

/// Compares the conflicts that were saved with those that there are now.
pub(super) fn of_conflicts(saved: &Document, now: &Document) -> Vec<Change> {
    let parts = |conflict: &Remark| (conflict.mapping.clone(), conflict.reason.clone());
    let new = now.conflicts.iter().filter(|conflict| !saved.conflicts.contains(conflict)).map(parts);
    let gone = saved.conflicts.iter().filter(|conflict| !now.conflicts.contains(conflict)).map(parts);
    let new = new.map(|(mapping, reason)| Change::Conflict { mapping, reason });
    new.chain(gone.map(|(mapping, reason)| Change::ConflictGone { mapping, reason })).collect()
}

/// Returns the step without its users and its refusal, which may come and go, and are judged again before anything is
/// done; and without its changes, which its differences tell and older plans lack.
fn decisive(step: &Step) -> Step {
    let mut step = Step { users: None, refusal: None, ..step.clone() };
    step.differences.iter_mut().flatten().for_each(|difference| difference.change = None);
    step
}
