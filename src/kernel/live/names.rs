//! The names of mappings, as sysfs tells them to everybody: to ask the kernel for them takes root.

use std::fs;

use crate::identity::Name;

/// The names of the mappings of the running kernel, in no order; none where sysfs does not tell.
#[must_use]
pub fn names() -> Vec<Name> {
    let devices = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let name = |device: fs::DirEntry| fs::read(device.path().join("dm/name")).ok();
    devices.filter_map(name).map(|line| Name::from_kernel(line.trim_ascii_end())).collect()
}
