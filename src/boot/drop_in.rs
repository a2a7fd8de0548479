//! What is special about the unit of one stack.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{Stage, devices, key_files, key_sources, mapping_path, name};
use crate::config::{BootOption, Mapping, Stack};
use crate::keys::KeySource;

/// The drop-in for the unit of `stack`, which these mappings are.
pub fn of(stack: &Stack, mappings: &[&Mapping], stage: Stage) -> String {
    let has = |option| stack.boot.contains(&option);
    let mut unit = Lines::default();
    unit.put("Description", &description(stack));
    let devices: BTreeSet<String> = mappings.iter().flat_map(|mapping| devices(mapping)).collect();
    for device in &devices {
        // Wanted, not required: when it doesn't come, dmctl is run all the same, and says what is missing.
        unit.put("Wants", device);
        unit.put("After", device);
    }
    for target in mappings.iter().filter_map(|mapping| name::block_device_target(&mapping_path(mapping))) {
        unit.put("Wants", &target);
        unit.put("Before", &target);
    }
    for folder in key_folders(mappings) {
        unit.put("RequiresMountsFor", &folder);
    }
    if has(BootOption::NetDev) {
        unit.put("Wants", "network-online.target");
        unit.put("After", "network-online.target remote-fs-pre.target");
    }
    // What must not fail is waited for.
    match stage {
        Stage::Initrd => unit.put("Before", "initrd-root-device.target"),
        Stage::System if has(BootOption::NoFail) || has(BootOption::NoAuto) => {}
        Stage::System if has(BootOption::NetDev) => unit.put("Before", "remote-fs.target"),
        Stage::System => unit.put("Before", "dmctl.service local-fs.target"),
    }
    // What came up in the initramfs holds the system itself: it stays until there is nothing left to stop.
    if !has(BootOption::InitrdAttach) {
        unit.put("PartOf", "dmctl.service");
        unit.put("Conflicts", "umount.target");
        unit.put("Before", "umount.target");
    }
    let credentials = credentials(mappings.iter().copied());
    let service = if credentials.is_empty() { String::new() } else { format!("\n[Service]\n{credentials}") };
    format!("# Made by dmctl from its map.\n\n[Unit]\n{}{service}", unit.0)
}

/// The settings that hand a service the credentials which the keys of these mappings are.
pub fn credentials<'m>(mappings: impl Iterator<Item = &'m Mapping>) -> String {
    let names: BTreeSet<String> = mappings
        .flat_map(key_sources)
        .filter_map(|source| match source {
            KeySource::Credential { name } => Some(name),
            _ => None,
        })
        .collect();
    let mut service = Lines::default();
    for name in &names {
        service.put("LoadCredential", name);
    }
    service.0
}

/// The names are those of devices, and can be anything that the kernel takes.
fn description(stack: &Stack) -> String {
    let others: Vec<&str> =
        stack.keys.iter().filter(|key| **key != stack.name).map(crate::identity::Key::as_str).collect();
    if others.is_empty() {
        format!("Device Mapper stack {}", stack.name)
    } else {
        format!("Device Mapper stack {} ({})", stack.name, others.join(", "))
    }
}

/// Folders that must be mounted before the keys in them can be read. One that the grammar of units would split is
/// left out.
fn key_folders(mappings: &[&Mapping]) -> BTreeSet<String> {
    let files = mappings.iter().flat_map(|mapping| key_files(mapping));
    let folders = files.filter_map(|file| Some(Path::new(&file).parent()?.to_str()?.to_string()));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\".contains(c);
    folders.filter(|folder| !folder.contains(odd)).collect()
}

/// Settings, a line each.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A value is text of ours: what systemd would expand is doubled.
    fn put(&mut self, setting: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{setting}={}", value.replace('%', "%%"));
    }
}
