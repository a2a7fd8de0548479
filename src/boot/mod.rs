//! The units by which systemd brings up the stacks of a map at boot.
//!
//! One instance of `dmctl@.service` a stack: it waits for the units of the stack's lower devices, so that
//! nothing polls, and a stack whose disk is missing holds no other up. What is the same for all of them stands in
//! the template, `dist/systemd/dmctl@.service`, where it can be read and overridden; what differs is a drop-in that
//! is made here. `dmctl.service` asks for the stacks that belong to every boot, and the unit of a device
//! `/dev/mapper/NAME` for the stack that makes it: what `fstab` mounts comes up because it is mounted.
//!
//! All of this is text out of a map. It asks no kernel, reads no key, and changes nothing.

mod drop_in;
mod name;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{BootOption, Map, Mapping, Stack};
use crate::keys::KeySource;

/// Where systemd runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In the initramfs: it has the stacks that say `x-initrd.attach`, and no others.
    Initrd,
    /// In the system.
    System,
}

/// What there is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file with this text.
    File(String),
    /// A link to this path.
    Link(String),
}

/// What systemd finds, by path below the folder of a generator.
pub type Units = BTreeMap<String, Entry>;

/// The template of all instances, where a package puts it.
const TEMPLATE: &str = "/usr/lib/systemd/system/dmctl@.service";
/// The service that applies a map while the system runs, and reads all its keys.
const WATCH: &str = "dmctl-watch.service";
/// Before the drop-ins of an administrator, who has the last word.
const DROP_IN: &str = "10-stack.conf";

/// Everything that systemd needs to bring up the stacks of `map`.
#[must_use]
pub fn units(map: &Map, stage: Stage) -> Units {
    let mut units = Units::new();
    let mut patience: BTreeMap<String, Duration> = BTreeMap::new();
    for stack in map.stacks() {
        if stage == Stage::Initrd && !stack.boot.contains(&BootOption::InitrdAttach) {
            continue;
        }
        let members = members(map, &stack);
        let unit = format!("dmctl@{}.service", stack.name);
        units.insert(format!("{unit}.d/{DROP_IN}"), Entry::File(drop_in::of(&stack, &members, stage)));
        if let Some(wanted) = wanted_by(&stack, stage) {
            units.insert(format!("{wanted}/{unit}"), Entry::Link(TEMPLATE.to_string()));
        }
        for mapping in &members {
            if let Some(device) = name::of_path(&mapping_path(mapping), "device") {
                units.insert(format!("{device}.requires/{unit}"), Entry::Link(TEMPLATE.to_string()));
            }
            for device in devices(mapping).filter(|_| !mapping.wait.is_zero()) {
                let longest = patience.entry(device).or_default();
                *longest = mapping.wait.max(*longest);
            }
        }
    }
    for (device, longest) in patience {
        let text = format!("[Unit]\nJobRunningTimeoutSec={}ms\n", longest.as_millis());
        units.insert(format!("{device}.d/10-dmctl.conf"), Entry::File(text));
    }
    let credentials = drop_in::credentials(map.mappings.values());
    if stage == Stage::System && !credentials.is_empty() {
        let text = format!("[Service]\n{credentials}");
        units.insert(format!("{WATCH}.d/{DROP_IN}"), Entry::File(text));
    }
    units
}

/// The folder whose links make that a stack comes up by itself.
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

/// Where the device of a mapping appears.
fn mapping_path(mapping: &Mapping) -> String {
    format!("/dev/mapper/{}", mapping.name.kernel())
}

/// The units of the lower devices of a mapping that are no mappings. A device that is written as a number has
/// none.
fn devices(mapping: &Mapping) -> impl Iterator<Item = String> {
    let lowers = mapping.rows.iter().flat_map(|row| row.target.lower_devices(0));
    lowers.filter_map(|lower| name::of_path(&lower.device.path()?, "device"))
}

/// The files that hold the keys of a mapping.
#[must_use]
pub fn key_files(mapping: &Mapping) -> Vec<String> {
    let file = |source| match source {
        KeySource::File { path, .. } => Some(path),
        _ => None,
    };
    key_sources(mapping).filter_map(file).collect()
}

/// Where the keys of a mapping come from.
fn key_sources(mapping: &Mapping) -> impl Iterator<Item = KeySource> {
    mapping.rows.iter().flat_map(|row| {
        let mut target = row.target.clone();
        let slots = target.keys_mut();
        slots.into_iter().map(|slot| slot.key.source.clone()).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests;
