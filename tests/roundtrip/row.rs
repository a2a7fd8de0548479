//! A row of the corpus, and the devices in it.

use std::collections::BTreeMap;
use std::fmt;

use dmctl::device::{Device, Form};
use dmctl::identity::DevNum;
use dmctl::targets::Target;

use super::kernel_rows;

/// A row of the data.
pub struct Row {
    pub line: usize,
    /// How many sectors it had, where that is known.
    pub length: Option<u64>,
    pub target: String,
    pub loaded: String,
    pub printed: String,
}

impl Row {
    pub fn is(&self, target: &str, loaded: &str) -> bool {
        self.target == target && self.loaded == loaded
    }

    /// Whether the kernel took it.
    pub fn is_taken(&self) -> bool {
        !self.printed.starts_with('!')
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} `{}` -> `{}`", self.line, self.target, self.loaded, self.printed)
    }
}

/// Every row of both files.
pub fn rows() -> Vec<Row> {
    let real = kernel_rows::rows(include_str!("../data/roundtrip.tsv")).map(|row| (row, false));
    let odd = kernel_rows::rows(include_str!("../data/odd.tsv")).map(|row| (row, true));
    let rows = real.chain(odd).map(|((line, target, loaded, printed), is_odd)| Row {
        line,
        length: is_odd.then_some(if target == "raid" { 65536 } else { 2048 }),
        target: target.to_string(),
        loaded,
        printed,
    });
    rows.collect()
}

/// The number of a device node that has a fixed one.
fn number_of(path: &str) -> Option<DevNum> {
    let node = path.rsplit('/').next()?;
    if let Some(number) = node.strip_prefix("ram") {
        return Some(DevNum::new(1, number.parse().ok()?));
    }
    if let Some(number) = node.strip_prefix("loop") {
        return Some(DevNum::new(7, number.parse().ok()?));
    }
    if let Some(letter) = node.strip_prefix("sd").and_then(|rest| rest.bytes().next()) {
        return Some(DevNum::new(8, u32::from(letter - b'a') * 16));
    }
    matches!(node, "nvme0n1" | "pmem0").then(|| DevNum::new(259, 0))
}

/// Gives the devices of `loaded` their numbers. A device under `/dev/mapper` has the one that `printed`
/// shows in the same place, and the same one wherever its name stands.
pub fn resolve(loaded: &mut dyn Target, printed: &mut dyn Target) {
    let mut mapped: BTreeMap<String, DevNum> = BTreeMap::new();
    let printed: Vec<&mut Device> = printed.devices_mut();
    for device in &printed {
        assert!(device.number.is_some() || number_of(&device.to_string()).is_some(), "{device}");
    }
    let numbers: Vec<Option<DevNum>> = printed
        .into_iter()
        .map(|device| {
            device.number = device.number.or_else(|| number_of(&device.to_string()));
            device.number
        })
        .collect();
    for (index, device) in loaded.devices_mut().into_iter().enumerate() {
        if let Form::Path(path) = &device.form {
            device.number = number_of(path).or_else(|| {
                let number = numbers.get(index).copied().flatten()?;
                assert!(mapped.iter().all(|(other, taken)| other == path || *taken != number), "{path}");
                Some(*mapped.entry(path.to_string()).or_insert(number))
            });
        }
    }
}
