//! The kernels that inputs are held against: simulated ones, with the disks that a map names.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::boot;
use crate::config::Map;
use crate::identity::DevNum;
use crate::kernel::simulated::{Disk, Simulated, State};

/// The size of each disk, in sectors.
const SECTORS: u64 = 1 << 32;
/// The number of disks that are made for a map at most.
const MAX_DISKS: u32 = 64;

/// Makes a kernel with every disk that a map names by its path, and without mappings.
pub(super) fn with_the_disks_of(map: &Map) -> Option<Simulated> {
    let rows = map.mappings.values().flat_map(|mapping| &mapping.rows);
    let lower = rows.flat_map(|row| row.target.lower_devices(0));
    let paths: BTreeSet<String> =
        lower.filter_map(|lower| lower.device.path().map(Cow::into_owned)).collect();
    let mut state = State::from_disks(&[]).expect("a kernel may have no disks");
    for (path, minor) in paths.into_iter().zip(0..MAX_DISKS) {
        let mut disk = Disk::new(DevNum::new(259, minor), SECTORS);
        disk.paths = vec![path];
        disk.blank = true;
        state.block_devices.push(disk);
    }
    Simulated::new(&state).ok()
}

/// Whether a map names a key that is read from a file: no input may choose what is opened.
pub(super) fn names_a_key_file(map: &Map) -> bool {
    map.mappings.values().any(|mapping| !boot::key_files(mapping).is_empty())
}
