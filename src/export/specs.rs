//! Devices as dmsetup and the kernel's own start-up code take them: name, uuid, minor, mode, and rows of words.

use super::Broken;
use super::devices::Host;
use crate::device::Device;
use crate::identity::{DevNum, printable};
use crate::keys::{KeySlot, KeySource};
use crate::observed::Seen;
use crate::table::RawRow;
use crate::targets::{self, Problems, Style};

/// One device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name, as the kernel stores it.
    pub name: String,
    /// Its uuid; empty when it has none.
    pub uuid: String,
    /// The minor number it must have.
    pub minor: Option<u32>,
    /// Whether its table is loaded read-only.
    pub read_only: bool,
    /// The rows of its table, `start length type params`.
    pub rows: Vec<String>,
}

/// The devices, each after those it stands on. `written` says how a lower device is written: by the number it
/// has when it is exported too, and by whatever else is known of it.
pub fn of(host: &Host, broken: &mut Vec<Broken>, written: &dyn Fn(DevNum) -> Option<Device>) -> Vec<Spec> {
    host.bottom_up().into_iter().filter_map(|seen| spec(host, seen, broken, written)).collect()
}

fn spec(
    host: &Host,
    seen: &Seen,
    broken: &mut Vec<Broken>,
    written: &dyn Fn(DevNum) -> Option<Device>,
) -> Option<Spec> {
    let mapped = seen.mapped.as_ref()?;
    let name = &seen.listed.name;
    let mut rows = Vec::new();
    if mapped.table.is_empty() {
        broken.push(Broken { name: Some(name.clone()), rule: "it has no table".to_string() });
    }
    for target in mapped.table.iter() {
        match row(host, target, written) {
            Ok(row) => rows.push(row),
            Err(rule) => broken.push(Broken { name: Some(name.clone()), rule }),
        }
    }
    Some(Spec {
        name: name.kernel().to_string(),
        uuid: seen.listed.uuid.as_ref().map(|uuid| uuid.text().to_string()).unwrap_or_default(),
        minor: None,
        read_only: mapped.info.read_only,
        rows,
    })
}

fn row(host: &Host, row: &RawRow, written: &dyn Fn(DevNum) -> Option<Device>) -> Result<String, String> {
    let kind = printable(&row.kind);
    let read = targets::parse(&row.kind, row.params());
    let mut target = read.map_err(|error| format!("its {kind} row can't be read: {error}"))?.for_export();
    host.add_numbers(target.as_mut());
    let mut problems = Problems::default();
    target.check(Some(row.length), &mut problems);
    if let Some(problem) = problems.into_vec().into_iter().next() {
        return Err(format!("its {kind} row can't be written: {problem}"));
    }
    let held = |slot: &&KeySlot<'_>| matches!(slot.key.source, KeySource::Hex(_) | KeySource::Withheld);
    if let Some(slot) = target.keys_mut().iter().find(held) {
        return Err(format!(
            "its {kind} row holds a key (`{}`), which is never written; a key in a keyring of the kernel is no secret",
            slot.field
        ));
    }
    for device in target.devices_mut() {
        if let Some(named) = device.number.and_then(written) {
            // Printed as it is written, not by number.
            *device = Device { number: None, ..named };
        }
    }
    let row = format!("{} {} {kind} {}", row.start, row.length, target.params(Style::Redacted));
    Ok(row.trim_end().to_string())
}
