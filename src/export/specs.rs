//! Devices in the form of dmsetup and of the start-up code of the kernel: name, uuid, minor number, mode, and rows.

use super::devices::Host;
use super::rule::NotText;
use super::{Broken, Rule};
use crate::device::Device;
use crate::identity::{DevNum, hides, printable};
use crate::keys::{KeySlot, KeySource};
use crate::observed::Seen;
use crate::table::RawRow;
use crate::targets::{Problems, Style};

/// A device as a list of plain words: what the formats of dmsetup and of the kernel's command line hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The mangled name, which the kernel stores.
    pub name: String,
    /// The uuid; empty when the device has none.
    pub uuid: String,
    /// The minor number that the device must get.
    pub minor: Option<u32>,
    /// Whether the table is loaded read-only.
    pub read_only: bool,
    /// The rows of the table, `start length type params`, in sectors.
    pub rows: Vec<String>,
}

/// Returns the devices, each after its lower devices. `written` returns the form of the lower device with a number;
/// `None` leaves the number.
pub(crate) fn of(
    host: &Host,
    broken: &mut Vec<Broken>,
    written: &dyn Fn(DevNum) -> Option<Device>,
) -> Vec<Spec> {
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
    if let Some(why) = NotText::of(&seen.listed) {
        broken.push(Broken { name: Some(name.clone()), rule: why.into() });
    }
    if mapped.table.is_empty() {
        broken.push(Broken { name: Some(name.clone()), rule: Rule::NoTable });
    }
    for target in mapped.table.iter() {
        match row(host, target, written) {
            Ok(row) => rows.push(row),
            // Rows that break one rule alike are told once.
            Err(rule) => {
                let found = Broken { name: Some(name.clone()), rule };
                if !broken.contains(&found) {
                    broken.push(found);
                }
            }
        }
    }
    let spec = Spec {
        name: name.kernel().to_string(),
        uuid: seen.listed.uuid.as_ref().map(|uuid| uuid.text().to_string()).unwrap_or_default(),
        minor: None,
        read_only: mapped.info.read_only,
        rows,
    };
    let texts = [&spec.name, &spec.uuid].into_iter().chain(&spec.rows);
    for text in texts.filter(|text| text.contains(hides)) {
        broken.push(Broken { name: Some(name.clone()), rule: Rule::Hidden { text: text.clone() } });
    }
    Some(spec)
}

fn row(host: &Host, row: &RawRow, written: &dyn Fn(DevNum) -> Option<Device>) -> Result<String, Rule> {
    let kind = printable(&row.kind).into_owned();
    let mut target = host.target(row)?;
    let mut problems = Problems::default();
    target.check(Some(row.length), &mut problems);
    if let Some(problem) = problems.into_vec().into_iter().next() {
        return Err(Rule::Invalid { kind, problem });
    }
    let held = |slot: &&KeySlot<'_>| matches!(slot.key.source, KeySource::Hex(_) | KeySource::Withheld);
    if let Some(slot) = target.keys_mut().iter().find(held) {
        return Err(Rule::Key { kind, field: slot.field });
    }
    for device in target.devices_mut() {
        if let Some(named) = device.number.and_then(written) {
            // A device with a number would be printed as that number.
            *device = Device { number: None, ..named };
        }
    }
    let row = format!("{} {} {kind} {}", row.start, row.length, target.params(Style::Redacted));
    Ok(row.trim_end().to_string())
}
