//! What `dmsetup create --concise` reads: `name,uuid,minor,flags,row[,row...]`, devices joined by `;`.
//!
//! A backslash takes the character behind it as it is, anywhere. dmsetup prints the same form, but in the order
//! of the kernel's list, with lower mappings by number and with zeros for keys; what is written here comes up in
//! the order in which it stands, and a key is an error. Source: `tools/dmsetup.c` of lvm2, and a run of it.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use super::devices::Host;
use super::specs;
use super::{Broken, ExportError, Selection};
use crate::device::{Device, Form};
use crate::device_path;
use crate::identity::DevNum;
use crate::kernel::ReadKernel;

pub use super::specs::Spec;
pub use read::{Placed, Wrong, read};

/// Writes the devices, each after those it stands on. Lower devices are written by paths that last; a mapping
/// whose path can't be written is given its minor number, and stood on by number.
pub fn write(kernel: &dyn ReadKernel, selection: &Selection) -> Result<String, ExportError> {
    let host = Host::read(kernel, selection)?;
    let exported: BTreeMap<DevNum, String> = host
        .bottom_up()
        .iter()
        .map(|seen| (seen.listed.number, seen.listed.name.kernel().to_string()))
        .collect();
    let mut broken = Vec::new();
    let written = |number| match exported.get(&number) {
        Some(name) => path_of(name),
        None => device_path::best(&host.paths, number).filter(|device| is_word(&device.to_string())),
    };
    let mut specs = specs::of(&host, &mut broken, &written);
    let pinned: BTreeSet<&String> = exported.values().filter(|name| path_of(name).is_none()).collect();
    for spec in &mut specs {
        let number = exported.iter().find(|(_, name)| **name == spec.name).map(|(number, _)| number.minor);
        spec.minor = number.filter(|_| pinned.contains(&spec.name));
    }
    for spec in &specs {
        for row in spec.rows.iter().filter(|row| row.contains('#')) {
            let rule = format!("dmsetup cuts a row at `#`, and this one holds one: {row}");
            broken.push(Broken::of(&spec.name, rule));
        }
    }
    if broken.is_empty() {
        Ok(print(&specs) + "\n")
    } else {
        Err(ExportError::Broken { format: "dmsetup's concise form", broken })
    }
}

/// The node of a mapping, where dmsetup can be told it.
fn path_of(name: &str) -> Option<Device> {
    let path = format!("/dev/mapper/{name}");
    let mangled = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:=@_\\".contains(&byte));
    (mangled && is_word(&path)).then_some(Device { form: Form::Path(path.into()), number: None })
}

/// Whether dmsetup reads this as one word.
fn is_word(text: &str) -> bool {
    !text.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control())
}

/// The devices as one text, without a line end.
#[must_use]
pub fn print(specs: &[Spec]) -> String {
    specs.iter().map(print_one).collect::<Vec<_>>().join(";")
}

fn print_one(spec: &Spec) -> String {
    let minor = spec.minor.map(|minor| minor.to_string()).unwrap_or_default();
    let mode = if spec.read_only { "ro" } else { "" };
    let head = [escaped(&spec.name), escaped(&spec.uuid), minor, mode.to_string()];
    let rows = spec.rows.iter().map(|row| escaped(row));
    head.into_iter().chain(rows).collect::<Vec<_>>().join(",")
}

/// What would end a field, or not begin it, is taken as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        let first = escaped.is_empty() && character.is_whitespace();
        if first || matches!(character, ',' | ';' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
