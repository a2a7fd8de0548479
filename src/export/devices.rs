//! The devices that are exported: read once, lower devices first.

use std::collections::BTreeSet;

use thiserror::Error;

use super::Selection;
use crate::device_path::Paths;
use crate::identity::{DevNum, Owner, Uuid, printable};
use crate::kernel::{KernelError, ListEntry, ReadKernel};
use crate::observed::{Observed, Seen};
use crate::stack::{NamedStacks, Position, position};
use crate::table::RawRow;
use crate::targets::{self, ParamsError, Target};

position! {
    /// A device among those that are exported.
    struct Place;
}

/// The state of a kernel, as far as an export needs it.
pub(crate) struct Host {
    /// The mapped devices; those that are exported with their tables.
    pub observed: Observed,
    /// The paths of every block device.
    pub paths: Paths,
}

/// Why a row is not exported: dmctl can't read its parameters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("its {kind} row can't be read: {error}")]
pub struct Unreadable {
    pub kind: String,
    /// The problem of its parameters.
    pub error: ParamsError,
}

impl Host {
    /// Reads the devices that are selected.
    pub(crate) fn read(kernel: &dyn ReadKernel, selection: &Selection) -> Result<Self, KernelError> {
        let observed = Observed::read_devices(kernel, |listed| selection.contains(listed))?;
        Ok(Self { observed, paths: kernel.paths()? })
    }

    /// Reads a row in the form of an export, with the numbers of its lower devices.
    pub(crate) fn target(&self, row: &RawRow) -> Result<Box<dyn Target>, Unreadable> {
        let unreadable = |error| Unreadable { kind: printable(&row.kind).into_owned(), error };
        let mut target = targets::parse(&row.kind, row.params()).map_err(unreadable)?.for_export();
        self.add_numbers(target.as_mut());
        Ok(target)
    }

    /// Finds the number of each lower device that the kernel printed as a path, as a few targets do.
    fn add_numbers(&self, target: &mut dyn Target) {
        for device in target.devices_mut() {
            if let (None, Some(path)) = (device.number, device.path()) {
                let at = |(_, paths): &(&DevNum, &Vec<String>)| paths.iter().any(|other| **other == *path);
                device.number = self.paths.iter().find(at).map(|(number, _)| *number);
            }
        }
    }

    /// Returns the devices, each after its lower devices, and otherwise by name.
    pub(crate) fn bottom_up(&self) -> Vec<&Seen> {
        let wanted = self.observed.devices.iter().filter_map(|seen| Some((seen, seen.mapped.as_ref()?)));
        let mut wanted: Vec<_> = wanted.collect();
        wanted.sort_by_key(|(seen, _)| &seen.listed.name);
        let uses = wanted
            .iter()
            .map(|(seen, mapped)| (seen.listed.number, mapped.table.lower_devices().iter().copied()));
        let uses: NamedStacks<DevNum, Place> = uses.collect();
        uses.bottom_up().into_iter().map(|place| wanted[place.index()].0).collect()
    }
}

impl Selection {
    /// Whether the device is selected: it is in `only`; or it has the owner; or, with neither given, its uuid does not
    /// mark it as another subsystem's.
    pub(super) fn contains(&self, listed: &ListEntry) -> bool {
        let uuid = listed.uuid.as_ref();
        if let Some(only) = &self.only {
            return only.contains(&listed.number);
        }
        match &self.owner {
            Some(owner) => uuid.is_some_and(|uuid| uuid.is_of(owner)),
            None => uuid.and_then(Uuid::subsystem).is_none(),
        }
    }
}

/// Returns the owner of the devices, if all that have one have the same.
pub(crate) fn one_owner<'a>(devices: impl Iterator<Item = &'a Seen>) -> Option<Owner> {
    let owners: BTreeSet<String> = devices
        .filter_map(|seen| seen.listed.uuid.as_ref()?.parts())
        .map(|(owner, _)| owner.to_string())
        .collect();
    let mut owners = owners.into_iter();
    let only = owners.next().filter(|_| owners.next().is_none())?;
    Owner::new(&only).ok()
}
