//! The drop-in of one stack: the settings that its unit does not share with the others.

use std::collections::BTreeSet;
use std::path::Path;

use super::name;
use super::needs::{key_files, key_sources, lower_device_units, mapping_path};
use super::stage::Stage;
use crate::config::{BootOption, Mapping, Stack};
use crate::keys::KeySource;
use crate::text::push_line;

/// Makes the drop-in for the unit of `stack`, whose mappings are `mappings`.
pub(crate) fn of(stack: &Stack, mappings: &[&Mapping], stage: Stage) -> String {
    let has = |option| stack.boot.contains(&option);
    let mut unit = Lines::default();
    unit.put("Description", &description(stack));
    let devices: BTreeSet<String> = mappings.iter().flat_map(|mapping| lower_device_units(mapping)).collect();
    for device in &devices {
        // Wanted, not required: when the device does not appear, dmctl runs all the same and reports it.
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
    // The targets that need the stack start after it.
    match stage {
        Stage::Initrd => unit.put("Before", "initrd-root-device.target"),
        Stage::System if has(BootOption::NoFail) || has(BootOption::NoAuto) => {}
        Stage::System if has(BootOption::NetDev) => unit.put("Before", "remote-fs.target"),
        Stage::System => unit.put("Before", "dmctl.service local-fs.target"),
    }
    // A stack from the initramfs holds the system itself: it stays until everything else has stopped.
    if !has(BootOption::InitrdAttach) {
        unit.put("PartOf", "dmctl.service");
        unit.put("Conflicts", "umount.target");
        unit.put("Before", "umount.target");
    }
    let credentials = credentials(mappings.iter().copied());
    let service = if credentials.is_empty() { String::new() } else { format!("\n[Service]\n{credentials}") };
    format!("# Made by dmctl from its map.\n\n[Unit]\n{}{service}", unit.0)
}

/// Makes the settings that give a service the credentials that are keys of these mappings.
pub(crate) fn credentials<'m>(mappings: impl Iterator<Item = &'m Mapping>) -> String {
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

/// Describes the stack by its name and the keys of its other mappings.
fn description(stack: &Stack) -> String {
    let others: Vec<&str> =
        stack.keys.iter().filter(|key| **key != stack.name).map(crate::identity::Key::as_str).collect();
    if others.is_empty() {
        format!("Device Mapper stack {}", stack.name)
    } else {
        format!("Device Mapper stack {} ({})", stack.name, others.join(", "))
    }
}

/// Returns the folders that must be mounted before the key files in them can be read, quoted for a unit. A folder whose
/// name holds a control character can't stand in a unit, and is left out.
fn key_folders(mappings: &[&Mapping]) -> BTreeSet<String> {
    let files = mappings.iter().flat_map(|mapping| key_files(mapping));
    let folders = files.filter_map(|file| Some(Path::new(&file).parent()?.to_str()?.to_string()));
    folders.filter(|folder| !folder.contains(char::is_control)).map(|folder| quoted(&folder)).collect()
}

/// Quotes a path where the grammar of units would split it, or take a part of it for a quote. A backslash is kept as it
/// is in the settings that take paths (`config_parse_unit_mounts_for` in `src/core/load-fragment.c` of systemd).
fn quoted(path: &str) -> String {
    if !path.contains(|c: char| c.is_whitespace() || "\"'\\".contains(c)) {
        return path.to_string();
    }
    format!("\"{}\"", path.replace('"', "\"'\"'\""))
}

/// Settings of a unit, a line each.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// Adds a setting. A `%` in the value is doubled: systemd would expand it (systemd.unit(5), specifiers). A value with a
    /// control character would add lines of its own, and is left out: none of a map comes here with one.
    fn put(&mut self, setting: &str, value: &str) {
        if value.contains(char::is_control) {
            return;
        }
        push_line!(self.0, "{setting}={}", value.replace('%', "%%"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_unit() {
        for (path, expected) in [
            ("/srv/keys", "/srv/keys"),
            ("/srv/my keys", "\"/srv/my keys\""),
            ("/srv/it's", "\"/srv/it's\""),
            ("/srv/a\\b", "\"/srv/a\\b\""),
            ("/srv/a\"b", "\"/srv/a\"'\"'\"b\""),
        ] {
            assert_eq!(quoted(path), expected);
        }
    }
}
