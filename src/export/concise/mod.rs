//! The form that `dmsetup create --concise` reads: `name,uuid,minor,flags,row[,row...]`, devices joined by `;`.
//!
//! A backslash escapes the character behind it, anywhere. dmsetup prints the same form, but in the order of the list of
//! the kernel, with lower mappings as numbers and with zeros in place of keys; here a device comes after its lower
//! devices, and a key is an error. Source: `tools/dmsetup.c` of lvm2, and a run of it.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use super::devices::Host;
use super::specs;
use super::{Broken, ExportError, Rule, Selection};
use crate::device::{Device, Form};
use crate::device_path;
use crate::identity::DevNum;
use crate::kernel::ReadKernel;

pub use super::specs::Spec;
pub(super) use read::{Backslash, Field, fields, read_plain};
pub use read::{LocatedSpec, SyntaxError, read};

/// Writes the devices, each after its lower devices. A lower device is written as a stable path; a mapping whose path
/// can't be written gets its minor number, and is written as a number where it is a lower device.
///
/// # Errors
///
/// [`ExportError::Broken`] with every rule that is broken, [`ExportError::Kernel`] when the kernel can't be read.
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
            broken.push(Broken::of(&spec.name, Rule::Hash { row: row.clone() }));
        }
    }
    if broken.is_empty() {
        Ok(print(&specs) + "\n")
    } else {
        Err(ExportError::Broken { format: "dmsetup's concise form", broken })
    }
}

/// Returns the node of a mapping; `None` where the form can't hold its path.
fn path_of(name: &str) -> Option<Device> {
    let path = format!("/dev/mapper/{name}");
    let mangled = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.:=@_\\".contains(&byte));
    (mangled && is_word(&path)).then_some(Device { form: Form::Path(path.into()), number: None })
}

/// Whether dmsetup reads the text as one word.
fn is_word(text: &str) -> bool {
    !text.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control())
}

/// Writes the devices as one text, without a line end.
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

/// Escapes the characters that would end a field, and blanks at its begin, which dmsetup skips.
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
