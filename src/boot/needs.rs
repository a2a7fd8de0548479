//! The node that a mapping makes at boot, and the devices and key files that must be there before it.

use super::name;
use crate::config::Mapping;
use crate::keys::KeySource;

/// Returns the path of the node of a mapping.
pub(crate) fn mapping_path(mapping: &Mapping) -> String {
    format!("/dev/mapper/{}", mapping.name.kernel())
}

/// Returns the units of the lower devices of a mapping that are not mappings themselves. A device that is written as
/// a number has none, and one that may have several links has that of the likeliest: a unit waits for it, and would wait in
/// vain for a link that udev never makes.
pub(crate) fn lower_device_units(mapping: &Mapping) -> impl Iterator<Item = String> {
    let lower_devices = mapping.rows.iter().flat_map(|row| row.target.lower_devices(0));
    lower_devices.filter_map(|lower| name::of_path(&lower.device.path()?, "device"))
}

/// Returns the units of all links that the lower devices of a mapping may have.
pub(crate) fn possible_device_units(mapping: &Mapping) -> impl Iterator<Item = String> {
    let lower_devices = mapping.rows.iter().flat_map(|row| row.target.lower_devices(0));
    lower_devices.flat_map(|lower| {
        let paths = lower.device.paths();
        paths.iter().filter_map(|path| name::of_path(path, "device")).collect::<Vec<_>>()
    })
}

/// Returns the paths of the key files of a mapping.
pub(crate) fn key_files(mapping: &Mapping) -> Vec<String> {
    let file = |source| match source {
        KeySource::File { path, .. } => Some(path),
        _ => None,
    };
    key_sources(mapping).filter_map(file).collect()
}

/// Returns the sources of the keys of a mapping.
pub(crate) fn key_sources(mapping: &Mapping) -> impl Iterator<Item = KeySource> {
    mapping.rows.iter().flat_map(|row| {
        let mut target = row.target.clone();
        let slots = target.keys_mut();
        slots.into_iter().map(|slot| slot.key.source.clone()).collect::<Vec<_>>()
    })
}
