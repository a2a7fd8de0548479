//! The devices that a plan touches and what they stand on, as they were when it was made.
//!
//! Keys are left out of the tables: a key that was changed since shows when the map is planned again.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};

use crate::device::Device;
use crate::diff;
use crate::identity::{DevNum, Uuid};
use crate::kernel::{Id, KernelError, ListEntry, ReadKernel, Slot};
use crate::plan::document::{Document, Lower, Step};

/// The state of every device that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// In no order that means anything.
    pub devices: Vec<DeviceRecord>,
}

/// How a device is found again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// A mapped device by its uuid.
    Uuid(SmolStr),
    /// A mapped device by its name, in the plain form.
    Name(SmolStr),
    /// Any block device, as the map or the kernel writes it.
    Device(SmolStr),
}

/// One device, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// How it is found.
    pub by: By,
    /// Its number; null when it did not exist.
    pub number: Option<String>,
    /// Its size, of a device that is not mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sectors: Option<u64>,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// What a mapped device has beyond that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapped: Option<MappedState>,
}

/// A mapped device, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedState {
    /// Its name, in the plain form.
    pub name: String,
    /// Its uuid.
    pub uuid: Option<String>,
    /// Whether I/O was held back.
    pub suspended: bool,
    /// Whether a table waited in its inactive slot.
    pub inactive_table: bool,
    /// The rows of its live table, without keys.
    pub table: Vec<String>,
}

impl Fingerprint {
    /// Takes the fingerprint of what a plan touches: each device of its steps, and down from there.
    pub fn take(kernel: &dyn ReadKernel, document: &Document) -> Result<Self, KernelError> {
        let look = Look::new(kernel)?;
        let mut waiting: VecDeque<By> = document.steps.iter().flat_map(touched).collect();
        let mut devices = BTreeMap::new();
        while let Some(by) = waiting.pop_front() {
            let by = look.certain(by)?;
            if devices.contains_key(&by) {
                continue;
            }
            let (state, lowers) = look.at(by.clone())?;
            waiting.extend(lowers.iter().map(|number| By::Device(number.to_smolstr())));
            devices.insert(by, state);
        }
        Ok(Self { devices: devices.into_values().collect() })
    }

    /// What has changed since, a sentence each.
    pub fn changes(&self, kernel: &dyn ReadKernel) -> Result<Vec<String>, KernelError> {
        let look = Look::new(kernel)?;
        let mut changes = Vec::new();
        for was in &self.devices {
            let (is, _) = look.at(was.by.clone())?;
            changes.extend(differences(was, &is));
        }
        Ok(changes)
    }
}

/// A kernel with its list of devices.
struct Look<'k> {
    kernel: &'k dyn ReadKernel,
    list: Vec<ListEntry>,
    by_name: HashMap<String, usize>,
    by_uuid: HashMap<Uuid, usize>,
    by_number: HashMap<DevNum, usize>,
}

impl<'k> Look<'k> {
    fn new(kernel: &'k dyn ReadKernel) -> Result<Self, KernelError> {
        let list = kernel.list()?;
        let uuid = |(place, listed): (usize, &ListEntry)| Some((listed.uuid.clone()?, place));
        Ok(Self {
            kernel,
            by_name: list.iter().enumerate().map(|(place, l)| (l.name.plain().into_owned(), place)).collect(),
            by_uuid: list.iter().enumerate().filter_map(uuid).collect(),
            by_number: list.iter().enumerate().map(|(place, listed)| (listed.number, place)).collect(),
            list,
        })
    }

    /// The one way to name a device: two ways to it are one device.
    fn certain(&self, by: By) -> Result<By, KernelError> {
        let listed = match &by {
            By::Uuid(_) => None,
            By::Name(_) => self.find(&by),
            By::Device(_) => self.number(&by)?.and_then(|number| self.numbered(number)),
        };
        Ok(match listed {
            Some(ListEntry { uuid: Some(uuid), .. }) => By::Uuid(uuid.text()),
            Some(ListEntry { name, uuid: None, .. }) => By::Name(name.plain_text()),
            None => by,
        })
    }

    fn find(&self, by: &By) -> Option<&ListEntry> {
        let place = match by {
            By::Uuid(uuid) => self.by_uuid.get(&Uuid::new(uuid).ok()?)?,
            By::Name(name) => self.by_name.get(name.as_str())?,
            By::Device(_) => return None,
        };
        Some(&self.list[*place])
    }

    fn numbered(&self, number: DevNum) -> Option<&ListEntry> {
        self.by_number.get(&number).map(|place| &self.list[*place])
    }

    fn number(&self, by: &By) -> Result<Option<DevNum>, KernelError> {
        match by {
            By::Device(text) => match Device::parse(text) {
                Ok(device) => self.kernel.resolve(&device),
                Err(_) => Ok(None),
            },
            _ => Ok(self.find(by).map(|listed| listed.number)),
        }
    }

    /// A device as it is now, and the numbers of what it stands on.
    fn at(&self, by: By) -> Result<(DeviceRecord, Vec<DevNum>), KernelError> {
        let Some(number) = self.number(&by)? else {
            return Ok((
                DeviceRecord { by, number: None, sectors: None, read_only: false, mapped: None },
                Vec::new(),
            ));
        };
        let mut state = DeviceRecord {
            by,
            number: Some(number.to_string()),
            sectors: None,
            read_only: false,
            mapped: None,
        };
        let Some(listed) = self.numbered(number) else {
            if let Some(block) = self.kernel.block_device(number)? {
                (state.sectors, state.read_only) = (Some(block.sectors), block.read_only);
            }
            return Ok((state, Vec::new()));
        };
        let id = listed.uuid.clone().map_or_else(|| Id::Name(listed.name.clone()), Id::Uuid);
        let Some(device) = self.kernel.device(&id, Slot::Live)? else {
            state.number = None;
            return Ok((state, Vec::new()));
        };
        let typed = diff::understand(&device.table).unwrap_or_default();
        let lowers =
            typed.iter().flat_map(|row| row.target.lower_devices(row.length)).filter_map(|l| l.device.number);
        let lowers = lowers.collect();
        state.read_only = device.info.read_only;
        state.mapped = Some(MappedState {
            name: device.info.name.plain().into_owned(),
            uuid: device.info.uuid.as_ref().map(|uuid| uuid.text().to_string()),
            suspended: device.info.suspended,
            inactive_table: device.info.inactive_table,
            table: device.table.iter().map(ToString::to_string).collect(),
        });
        Ok((state, lowers))
    }
}

/// What a step is about: its device, the names and the uuid it takes, and what its tables stand on.
fn touched(step: &Step) -> Vec<By> {
    let mut touched = vec![By::Name(step.name.clone())];
    touched.extend(step.to.clone().map(By::Name));
    touched.extend(step.uuid.clone().map(By::Uuid));
    let tables = step.table.iter().chain(&step.old_table);
    touched.extend(tables.flatten().flat_map(|row| &row.lowers).filter_map(of_lower));
    touched
}

/// How a lower device is found; none for a mapping that the plan makes.
fn of_lower(lower: &Lower) -> Option<By> {
    let mapping = lower.device.starts_with('@');
    if mapping { lower.number.clone().map(By::Device) } else { Some(By::Device(lower.device.clone())) }
}

/// How a device differs from what it was.
fn differences(was: &DeviceRecord, is: &DeviceRecord) -> Vec<String> {
    let name = match (&was.by, was.mapped.as_ref().or(is.mapped.as_ref())) {
        (_, Some(mapped)) => format!("`{}`", mapped.name),
        (By::Name(name) | By::Uuid(name) | By::Device(name), None) => format!("`{name}`"),
    };
    let (Some(number), Some(number_now)) = (&was.number, &is.number) else {
        return match (&was.number, &is.number) {
            (Some(number), None) => vec![format!("{name} ({number}) is gone")],
            (None, Some(number)) => vec![format!("{name} ({number}) exists now")],
            _ => Vec::new(),
        };
    };
    let mut says = Vec::new();
    if number != number_now {
        says.push(format!("{name} has the number {number_now}, it had {number}"));
    }
    if let (Some(sectors), Some(now)) = (was.sectors, is.sectors)
        && sectors != now
    {
        says.push(format!("{name} has {now} sectors, it had {sectors}"));
    }
    if was.read_only != is.read_only {
        says.push(format!("{name} is {} now", if is.read_only { "read-only" } else { "writable" }));
    }
    match (&was.mapped, &is.mapped) {
        (Some(was), Some(is)) => says.extend(mapped_differences(&name, was, is)),
        (None, None) => {}
        _ => says.push(format!("{name} is another device now")),
    }
    says
}

fn mapped_differences(name: &str, was: &MappedState, is: &MappedState) -> Vec<String> {
    let mut says = Vec::new();
    if was.name != is.name {
        says.push(format!("{name} is called `{}` now", is.name));
    }
    if was.uuid != is.uuid {
        says.push(format!("{name} has another uuid"));
    }
    if was.suspended != is.suspended {
        says.push(format!("{name} is {} now", if is.suspended { "suspended" } else { "resumed" }));
    }
    if was.inactive_table != is.inactive_table {
        let now = if is.inactive_table { "holds a table" } else { "is empty" };
        says.push(format!("the inactive slot of {name} {now} now"));
    }
    if was.table != is.table {
        let row = was.table.iter().zip(&is.table).find(|(was, is)| was != is);
        says.push(match row {
            Some((was, is)) => format!("the table of {name} has changed: `{was}` is `{is}` now"),
            None => format!(
                "the table of {name} has changed: it had {} rows, it has {}",
                was.table.len(),
                is.table.len()
            ),
        });
    }
    says
}
