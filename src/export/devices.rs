//! The devices that are exported, read once, lower ones first.

use std::collections::BTreeSet;

use super::Selection;
use super::paths::Paths;
use crate::diff;
use crate::graph::bottom_up;
use crate::identity::{DevNum, Owner, Uuid};
use crate::kernel::{KernelError, ListEntry, ReadKernel};
use crate::observed::{Observed, Seen};
use crate::targets::Target;

/// What was read of a kernel.
pub struct Host {
    /// Every device of which a table was asked for, and the names of all others.
    pub observed: Observed,
    /// Where devices are found.
    pub paths: Paths,
}

impl Host {
    /// Reads what is wished for.
    pub fn read(kernel: &dyn ReadKernel, selection: &Selection) -> Result<Self, KernelError> {
        let observed = Observed::read_devices(kernel, |listed| selection.wants(listed))?;
        Ok(Self { observed, paths: kernel.paths()? })
    }

    /// Gives a number to each device of a row that the kernel printed by a path, as a few targets do.
    pub fn number(&self, target: &mut dyn Target) {
        for device in target.devices_mut() {
            if let (None, Some(path)) = (device.number, device.path()) {
                let at = |(_, paths): &(&DevNum, &Vec<String>)| paths.iter().any(|other| **other == *path);
                device.number = self.paths.iter().find(at).map(|(number, _)| *number);
            }
        }
    }

    /// The devices, each after those it stands on, by name where that leaves a choice.
    pub fn bottom_up(&self) -> Vec<&Seen> {
        let mut wanted: Vec<&Seen> =
            self.observed.devices.iter().filter(|seen| seen.mapped.is_some()).collect();
        wanted.sort_by(|one, two| one.listed.name.cmp(&two.listed.name));
        let below = |seen: &&Seen| {
            seen.mapped.as_ref().map(|mapped| diff::lower_devices(&mapped.table)).unwrap_or_default()
        };
        bottom_up(wanted, |seen| seen.listed.number, below)
    }
}

impl Selection {
    /// Whether this device is exported: those that are named; those of an owner; or, with neither said, all
    /// but those that their uuid marks as another subsystem's.
    pub(super) fn wants(&self, listed: &ListEntry) -> bool {
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

/// The one owner of all these devices that any has.
pub fn one_owner<'a>(devices: impl Iterator<Item = &'a Seen>) -> Option<Owner> {
    let owners: BTreeSet<String> = devices
        .filter_map(|seen| seen.listed.uuid.as_ref()?.parts())
        .map(|(owner, _)| owner.to_string())
        .collect();
    let mut owners = owners.into_iter();
    let only = owners.next().filter(|_| owners.next().is_none())?;
    Owner::new(&only).ok()
}
