//! The names of mappings, from sysfs, which every user can read: the control node needs root.

use std::fs;

use crate::identity::Name;

/// Lists the names of the mappings of the running kernel, in no order; an empty list without sysfs.
pub fn names() -> Vec<Name> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let name = |device: fs::DirEntry| fs::read(device.path().join("dm/name")).ok();
    devices.filter_map(name).map(|line| Name::from_kernel(line.trim_ascii_end())).collect()
}
