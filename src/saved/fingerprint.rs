//! The devices that a plan touches, and their lower devices, as they were when the plan was made.
//!
//! Keys are left out of the tables: a key that has changed since shows when the map is planned again.

use std::cell::OnceCell;
use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use smol_str::ToSmolStr;

use super::change::{self, Change};
use super::device_record::{DeviceRecord, Locator, MappedState};
use crate::device::Device;
use crate::device_path;
use crate::identity::{DevNum, Uuid};
use crate::kernel::{Hallmarks, Id, KernelError, ListEntry, ReadKernel, Slot};
use crate::plan::document::{Document, Lower, Step};
use crate::stack::Reach;
use crate::table::Row;

/// The devices that a plan depends on, each with its state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The devices, in the order of their locators.
    pub devices: Vec<DeviceRecord>,
}

impl Fingerprint {
    /// Records every device that a step of the plan touches, and every device below it.
    pub fn take(kernel: &dyn ReadKernel, document: &Document) -> Result<Self, KernelError> {
        let lookup = Lookup::new(kernel)?;
        let touched = document.steps.iter().flat_map(touched).map(|by| lookup.canonical(by));
        let mut reach: Reach<Locator> = touched.collect::<Result<_, _>>()?;
        let mut devices = Vec::new();
        while let Some(by) = reach.next() {
            let (state, lower_devices) = lookup.record(by)?;
            for number in lower_devices {
                reach.extend([lookup.canonical(Locator::Device(number.to_smolstr()))?]);
            }
            devices.push(state);
        }
        devices.sort_unstable_by(|one: &DeviceRecord, two| one.by.cmp(&two.by));
        Ok(Self { devices })
    }

    /// Reads the devices again, and returns what has changed.
    pub fn changes(&self, kernel: &dyn ReadKernel) -> Result<Vec<Change>, KernelError> {
        let lookup = Lookup::new(kernel)?;
        let mut changes = Vec::new();
        for was in &self.devices {
            let (is, _) = lookup.record(was.by.clone())?;
            changes.extend(change::of_device(was, &is));
        }
        Ok(changes)
    }
}

/// The list of mapped devices of a kernel, indexed.
struct Lookup<'k> {
    kernel: &'k dyn ReadKernel,
    list: Vec<ListEntry>,
    by_name: HashMap<String, usize>,
    by_uuid: HashMap<Uuid, usize>,
    by_number: HashMap<DevNum, usize>,
    /// The paths of all block devices, read when they are first needed.
    paths: OnceCell<device_path::Paths>,
}

impl<'k> Lookup<'k> {
    fn new(kernel: &'k dyn ReadKernel) -> Result<Self, KernelError> {
        let list = kernel.list()?;
        let uuid = |(place, listed): (usize, &ListEntry)| Some((listed.uuid.clone()?, place));
        Ok(Self {
            kernel,
            by_name: list.iter().enumerate().map(|(place, l)| (l.name.plain().into_owned(), place)).collect(),
            by_uuid: list.iter().enumerate().filter_map(uuid).collect(),
            by_number: list.iter().enumerate().map(|(place, listed)| (listed.number, place)).collect(),
            list,
            paths: OnceCell::new(),
        })
    }

    /// Returns the one locator of a device that several lead to: uuid before name before number.
    fn canonical(&self, by: Locator) -> Result<Locator, KernelError> {
        let listed = match &by {
            Locator::Uuid(_) => None,
            Locator::Name(_) => self.find(&by),
            Locator::Device(_) => self.number(&by)?.and_then(|number| self.numbered(number)),
        };
        Ok(match listed {
            Some(ListEntry { uuid: Some(uuid), .. }) => Locator::Uuid(uuid.text()),
            Some(ListEntry { name, uuid: None, .. }) => Locator::Name(name.plain_text()),
            None => by,
        })
    }

    fn find(&self, by: &Locator) -> Option<&ListEntry> {
        let place = match by {
            Locator::Uuid(uuid) => self.by_uuid.get(&Uuid::new(uuid).ok()?)?,
            Locator::Name(name) => self.by_name.get(name.as_str())?,
            Locator::Device(_) => return None,
        };
        Some(&self.list[*place])
    }

    fn numbered(&self, number: DevNum) -> Option<&ListEntry> {
        self.by_number.get(&number).map(|place| &self.list[*place])
    }

    fn number(&self, by: &Locator) -> Result<Option<DevNum>, KernelError> {
        match by {
            Locator::Device(text) => match Device::parse(text) {
                Ok(device) => self.kernel.resolve(&device),
                Err(_) => Ok(None),
            },
            _ => Ok(self.find(by).map(|listed| listed.number)),
        }
    }

    fn hallmarks(&self, number: DevNum) -> Result<Hallmarks, KernelError> {
        let mut marks = self.kernel.hallmarks(number);
        let paths = if let Some(paths) = self.paths.get() {
            paths
        } else {
            let paths = self.kernel.paths()?;
            self.paths.get_or_init(|| paths)
        };
        marks.complete(paths.get(&number).map_or(&[], Vec::as_slice));
        Ok(marks)
    }

    /// Reads the state of a device, and the numbers of its lower devices.
    fn record(&self, by: Locator) -> Result<(DeviceRecord, Vec<DevNum>), KernelError> {
        let number = self.number(&by)?;
        let mut state = DeviceRecord {
            by,
            number: number.map(|number| number.to_string()),
            sectors: None,
            hallmarks: None,
            read_only: false,
            mapped: None,
        };
        let Some(number) = number else { return Ok((state, Vec::new())) };
        let Some(listed) = self.numbered(number) else {
            if let Some(block) = self.kernel.block_device(number)? {
                (state.sectors, state.read_only) = (Some(block.sectors), block.read_only);
                state.hallmarks = Some(self.hallmarks(number)?);
            }
            return Ok((state, Vec::new()));
        };
        let id = Id::stable(&listed.name, listed.uuid.as_ref());
        let Some(device) = self.kernel.device(&id, Slot::Live)? else {
            state.number = None;
            return Ok((state, Vec::new()));
        };
        let typed = device.table.understood().unwrap_or_default();
        let lower_devices = typed.iter().flat_map(Row::lower_devices);
        let numbers = lower_devices.filter_map(|lower| lower.device.number).collect();
        state.read_only = device.info.read_only;
        state.mapped = Some(MappedState {
            name: device.info.name.plain().into_owned(),
            uuid: device.info.uuid.as_ref().map(|uuid| uuid.text().to_string()),
            suspended: device.info.suspended,
            inactive_table: device.info.inactive_table,
            table: device.table.iter().map(ToString::to_string).collect(),
        });
        Ok((state, numbers))
    }
}

/// Returns the devices that a step touches: its own, those that have the name or the uuid it takes, and the lower
/// devices of its tables.
fn touched(step: &Step) -> Vec<Locator> {
    let mut touched = vec![Locator::Name(step.name.clone())];
    touched.extend(step.to.clone().map(Locator::Name));
    touched.extend(step.uuid.clone().map(Locator::Uuid));
    let tables = step.table.iter().chain(&step.old_table);
    touched.extend(tables.flatten().flat_map(|row| &row.lowers).filter_map(of_lower));
    touched
}

/// Returns the locator of a lower device; `None` for a mapping that the plan makes.
fn of_lower(lower: &Lower) -> Option<Locator> {
    let mapping = lower.device.starts_with('@');
    if mapping {
        lower.number.clone().map(Locator::Device)
    } else {
        Some(Locator::Device(lower.device.clone()))
    }
}
