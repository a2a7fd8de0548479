//! The parameter on the kernel's command line: `dm-mod.create="name,uuid,minor,flags,row[,row...][;...]"`.
//!
//! It looks like the concise form of dmsetup and is stricter. `check` knows its limits, which are those of
//! `drivers/md/dm-init.c` and of the command line itself. A lower device is written in a form that the kernel can find
//! before there is a file system: `PARTUUID=`, `PARTLABEL=`, the name that its driver gave, or a number. A mapping is
//! written as `/dev/dm-N`, for every mapping gets its minor number.

use std::cell::RefCell;
use std::collections::BTreeMap;

use smol_str::format_smolstr;

use super::devices::Host;
use super::rule::{MAX_DEVICES, MAX_MINOR, MAX_TARGETS, MAX_TEXT};
use super::specs::{self, Spec};
use super::{Broken, ExportError, Rule, Selection};
use crate::device::{Device, Form};
use crate::device_path::Paths;
use crate::identity::DevNum;
use crate::kernel::ReadKernel;
use crate::targets;

/// The characters that end a value, for there are no escapes: those of the grammar, and the quotes of the command line.
const SEPARATORS: [char; 5] = [',', ';', '"', '\n', '\t'];

/// The folders of links, and the words by which the kernel finds those devices before udev runs.
const TAGS: [(&str, &str); 2] =
    [("/dev/disk/by-partuuid/", "PARTUUID="), ("/dev/disk/by-partlabel/", "PARTLABEL=")];

/// The parameter for a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its text, and a line end.
    pub text: String,
    /// The lower devices that may be others at the next boot: written as a node, which the kernel names in the order in
    /// which drivers find their disks, or as a number.
    pub unstable: Vec<Device>,
}

/// Writes the parameter for a command line.
///
/// # Errors
///
/// As those of [`parameter`].
pub fn write(kernel: &dyn ReadKernel, selection: &Selection) -> Result<String, ExportError> {
    parameter(kernel, selection).map(|parameter| parameter.text)
}

/// Writes the parameter for a command line, and lists the devices in it that may be others at the next boot.
///
/// # Errors
///
/// [`ExportError::Broken`] with every limit that is broken, [`ExportError::Kernel`] when the kernel can't be read.
pub fn parameter(kernel: &dyn ReadKernel, selection: &Selection) -> Result<Parameter, ExportError> {
    let host = Host::read(kernel, selection)?;
    let minors: BTreeMap<DevNum, u32> =
        host.bottom_up().iter().map(|seen| seen.listed.number).zip(0..).collect();
    let mut broken = Vec::new();
    let unstable = RefCell::new(BTreeMap::new());
    let written = |number| {
        if let Some(minor) = minors.get(&number) {
            return Some(Device { form: Form::Path(format_smolstr!("/dev/dm-{minor}")), number: None });
        }
        let early = early(&host.paths, number);
        if !matches!(early, Some(Device { form: Form::Tag(..), .. })) {
            let device = early.clone().unwrap_or_else(|| Device::numbered(number));
            unstable.borrow_mut().insert(number, device);
        }
        early
    };
    let mut specs = specs::of(&host, &mut broken, &written);
    for (spec, minor) in specs.iter_mut().zip(0..) {
        spec.minor = Some(minor);
    }
    broken.extend(check(&specs));
    if broken.is_empty() {
        let text = format!("dm-mod.create=\"{}\"\n", print(&specs));
        Ok(Parameter { text, unstable: unstable.into_inner().into_values().collect() })
    } else {
        Err(ExportError::Broken { format: "dm-mod.create=", broken })
    }
}

/// Returns the form of a device by which the kernel finds it before there is a file system.
fn early(paths: &Paths, number: DevNum) -> Option<Device> {
    let all = paths.get(&number)?;
    let plain = |value: &str| !value.contains(|c: char| SEPARATORS.contains(&c) || c == ' ' || c == '\\');
    for (folder, tag) in TAGS {
        let value = all.iter().filter_map(|path| path.strip_prefix(folder)).find(|value| plain(value));
        if let Some(value) = value {
            return Device::parse(&format!("{tag}{value}")).ok();
        }
    }
    // The node of the device, which its driver named.
    let node = all.iter().find(|path| path.strip_prefix("/dev/").is_some_and(|name| !name.contains('/')))?;
    Device::parse(node).ok()
}

/// Writes the value, without the quotes around it.
pub(crate) fn print(specs: &[Spec]) -> String {
    let one = |spec: &Spec| {
        let minor = spec.minor.map(|minor| minor.to_string()).unwrap_or_default();
        let mode = if spec.read_only { "ro" } else { "rw" };
        format!("{},{},{minor},{mode},{}", spec.name, spec.uuid, spec.rows.join(","))
    };
    specs.iter().map(one).collect::<Vec<_>>().join(";")
}

/// Returns every limit that the devices break.
pub(crate) fn check(specs: &[Spec]) -> Vec<Broken> {
    let mut broken = Vec::new();
    let bytes = print(specs).len();
    if specs.is_empty() {
        broken.push(Broken { name: None, rule: Rule::NoDevice });
    }
    if bytes > MAX_TEXT {
        broken.push(Broken { name: None, rule: Rule::TextLength { bytes } });
    }
    if specs.len() > MAX_DEVICES {
        broken.push(Broken { name: None, rule: Rule::DeviceCount { count: specs.len() } });
    }
    for spec in specs {
        broken.extend(broken_by(spec).into_iter().map(|rule| Broken::of(&spec.name, rule)));
    }
    broken
}

fn broken_by(spec: &Spec) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (field, value) in [("name", &spec.name), ("uuid", &spec.uuid)] {
        if value.trim() != value {
            rules.push(Rule::Blank { field });
        }
        if let Some(character) = value.chars().find(|c| SEPARATORS.contains(c)) {
            rules.push(Rule::Separator { field, character });
        }
    }
    if let Some(minor) = spec.minor.filter(|minor| *minor > MAX_MINOR) {
        rules.push(Rule::Minor { minor });
    }
    if spec.rows.len() > MAX_TARGETS {
        rules.push(Rule::TargetCount { count: spec.rows.len() });
    }
    for row in &spec.rows {
        rules.extend(broken_by_row(row));
    }
    rules
}

fn broken_by_row(row: &str) -> Option<Rule> {
    let mut words = row.splitn(4, ' ').skip(2);
    let kind = words.next().unwrap_or_default().to_string();
    if !targets::find(&kind).is_some_and(|kind| kind.traits.early) {
        return Some(Rule::Late { kind });
    }
    if words.next().is_none_or(|params| params.trim().is_empty()) {
        return Some(Rule::NoParams { kind });
    }
    let character = row.chars().find(|c| SEPARATORS.contains(c))?;
    Some(Rule::RowSeparator { kind, character })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, rows: &[&str]) -> Spec {
        let rows = rows.iter().map(ToString::to_string).collect();
        Spec { name: name.to_string(), uuid: String::new(), minor: Some(0), read_only: false, rows }
    }

    #[test]
    fn each_limit_is_told_with_its_device() {
        let fine = spec("a", &["0 8 linear 8:1 0", "8 8 striped 2 8 8:1 0 8:2 0"]);
        assert_eq!(check(std::slice::from_ref(&fine)), []);
        assert_eq!(
            print(std::slice::from_ref(&fine)),
            "a,,0,rw,0 8 linear 8:1 0,8 8 striped 2 8 8:1 0 8:2 0"
        );
        let many = vec!["0 8 linear 8:1 0"; 257];
        for (spec, expected) in [
            (spec("a,b", &["0 8 linear 8:1 0"]), "its name holds `,`"),
            (spec("a;b", &["0 8 linear 8:1 0"]), "its name holds `;`"),
            (spec("a\"b", &["0 8 linear 8:1 0"]), "its name holds `\\\"`"),
            (spec(" a", &["0 8 linear 8:1 0"]), "begins or ends with a blank"),
            (Spec { uuid: "u,1".to_string(), ..fine.clone() }, "its uuid holds `,`"),
            (Spec { minor: Some(256), ..fine.clone() }, "minor number would be 256"),
            (
                spec("a", &["0 8 zero"]),
                "makes no zero this early, only crypt, delay, linear, snapshot-origin, striped, verity",
            ),
            (spec("a", &["0 8 linear"]), "has no parameters"),
            (spec("a", &["0 8 linear /dev/a,b 0"]), "its linear row holds `,`"),
            (spec("a", &many), "has 257 targets"),
        ] {
            let name = spec.name.clone();
            let broken = check(&[spec]);
            let found = broken.iter().any(|broken| {
                *broken == Broken::of(&name, broken.rule.clone())
                    && broken.rule.to_string().contains(expected)
            });
            assert!(found, "{expected}: {broken:?}");
        }
        let all = vec![fine; 257];
        let rules: Vec<String> = check(&all).into_iter().map(|broken| broken.rule.to_string()).collect();
        assert!(rules[0].contains("the kernel reads 4096") && rules[1].contains("257 devices"), "{rules:?}");
        assert!(check(&[])[0].rule.to_string().contains("no device"));
    }
}
