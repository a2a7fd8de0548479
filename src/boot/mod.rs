//! The units by which systemd brings up the stacks of a map at boot.
//!
//! One instance of `dmctl@.service` a stack: it waits for the units of the stack's lower devices, so that nothing
//! polls, and a stack whose disk is missing does not delay another. The settings that all instances share are in the
//! template, `dist/systemd/dmctl@.service`, where an administrator can read and override them; those of one stack are
//! in a drop-in that is made here. `dmctl.service` pulls in the stacks that belong to every boot, and the unit of a
//! device `/dev/mapper/NAME` pulls in the stack that makes it: a device that `fstab` mounts comes up because it is
//! mounted. The unit of a disk pulls in its stack, too: for a disk that comes after the stack has given up.
//!
//! All of this is text made from a map: the kernel is not read, and neither is a key.

mod drop_in;
mod name;
mod needs;
mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{BootOption, Map, Mapping, Stack};
use needs::{lower_device_units, mapping_path, possible_device_units};

pub(crate) use needs::key_files;
pub(crate) use stage::Stage;

/// A file for systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum UnitFile {
    /// A regular file with this text.
    Text(String),
    /// A symbolic link to this path.
    Link(String),
}

/// The files for systemd, by path below the folder of a generator (systemd.generator(7)).
pub(crate) type Units = BTreeMap<String, UnitFile>;

/// The path of the template of all instances, as a package installs it.
const TEMPLATE: &str = "/usr/lib/systemd/system/dmctl@.service";
/// The service that applies a map while the system runs, and reads all its keys.
const WATCH_SERVICE: &str = "dmctl-watch.service";
/// The name of a drop-in: it sorts before those of an administrator, which override it.
const DROP_IN: &str = "10-stack.conf";

/// What stands between a device and a unit that is started when the device appears.
const WANTS: &str = ".wants/";

/// Leaves out the links by which a stack is started when one of its disks appears: for a system that does not ask for the
/// stacks at boot.
pub(crate) fn leave_out_starts_by_disks(units: &mut Units) {
    units.retain(|path, _| !path.contains(&format!(".device{WANTS}")));
}

/// Makes the files by which systemd brings up the stacks of `map`.
pub(crate) fn units(map: &Map, stage: Stage) -> Units {
    let mut units = Units::new();
    let mut timeouts: BTreeMap<String, Duration> = BTreeMap::new();
    for stack in map.stacks() {
        if stage == Stage::Initrd && !stack.boot.contains(&BootOption::InitrdAttach) {
            continue;
        }
        let members = members(map, &stack);
        let unit = format!("dmctl@{}.service", stack.name);
        units.insert(format!("{unit}.d/{DROP_IN}"), UnitFile::Text(drop_in::of(&stack, &members, stage)));
        if let Some(wanted) = wanted_by(&stack, stage) {
            units.insert(format!("{wanted}/{unit}"), UnitFile::Link(TEMPLATE.to_string()));
        }
        for mapping in &members {
            if let Some(device) = name::of_path(&mapping_path(mapping), "device") {
                units.insert(format!("{device}.requires/{unit}"), UnitFile::Link(TEMPLATE.to_string()));
            }
            // systemd starts what a device wants when that appears and no job has waited for it (`unit_notify` in
            // `src/core/unit.c`): after the unit of the stack has given up.
            for device in possible_device_units(mapping).filter(|_| wanted_by(&stack, stage).is_some()) {
                units.insert(format!("{device}{WANTS}{unit}"), UnitFile::Link(TEMPLATE.to_string()));
            }
            for device in lower_device_units(mapping).filter(|_| !mapping.wait.is_zero()) {
                let longest = timeouts.entry(device).or_default();
                *longest = mapping.wait.max(*longest);
            }
        }
    }
    for (device, longest) in timeouts {
        let text = format!("[Unit]\nJobRunningTimeoutSec={}ms\n", longest.as_millis());
        units.insert(format!("{device}.d/10-dmctl.conf"), UnitFile::Text(text));
    }
    let credentials = drop_in::credentials(map.mappings.values());
    if stage == Stage::System && !credentials.is_empty() {
        let text = format!("[Service]\n{credentials}");
        units.insert(format!("{WATCH_SERVICE}.d/{DROP_IN}"), UnitFile::Text(text));
    }
    units
}

/// Returns the folder whose links bring a stack up at every boot.
fn wanted_by(stack: &Stack, stage: Stage) -> Option<&'static str> {
    let has = |option| stack.boot.contains(&option);
    match stage {
        Stage::Initrd => Some("sysinit.target.wants"),
        Stage::System if has(BootOption::NoAuto) => None,
        Stage::System if has(BootOption::NoFail) || has(BootOption::NetDev) => Some("dmctl.service.wants"),
        Stage::System => Some("dmctl.service.requires"),
    }
}

fn members<'m>(map: &'m Map, stack: &Stack) -> Vec<&'m Mapping> {
    stack.keys.iter().filter_map(|key| map.mappings.get(key)).collect()
}

#[cfg(test)]
mod tests;
