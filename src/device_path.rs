//! Picks the path by which a lower device is written: one that names the same disk after the next boot, and
//! tells a person which disk that is.
//!
//! The order is that of [`RANKS`]: first the label of the partition, then the identity of the disk or the
//! partition itself, then that of its content, then the place where it is plugged in. A node named by its
//! driver comes last, and a number is written where the device does not have a path.

use std::collections::BTreeMap;

use crate::device::{Device, Form};
use crate::identity::DevNum;

/// Folders of links, the best first. A path outside them comes after.
const RANKS: [&str; 7] = [
    "/dev/mapper/",
    "/dev/disk/by-partlabel/",
    "/dev/disk/by-id/",
    "/dev/disk/by-partuuid/",
    "/dev/disk/by-uuid/",
    "/dev/disk/by-label/",
    "/dev/disk/by-path/",
];

/// Links that tell a person nothing, or that may name another disk after each boot.
const POOR: [&str; 6] = ["wwn-", "nvme-eui.", "scsi-3", "dm-uuid-", "lvm-pv-uuid-", "md-uuid-"];

/// The paths of every device.
pub(crate) type Paths = BTreeMap<DevNum, Vec<String>>;

/// Returns the best path of a device, if it has one that can be written.
pub(crate) fn best(paths: &Paths, number: DevNum) -> Option<Device> {
    let all = paths.get(&number)?.iter().filter(|path| !path.starts_with("/dev/disk/by-diskseq/"));
    let parsed = all.filter_map(|path| Some((path, Device::parse(path).ok()?)));
    let (_, device) = parsed.min_by_key(|(path, _)| (rank(path), *path))?;
    Some(Device { number: Some(number), ..device })
}

/// Returns the best path of a device, for a person.
pub(crate) fn best_path(paths: &Paths, number: DevNum) -> Option<String> {
    best(paths, number).map(|device| device.to_string())
}

/// Ranks a path: the lower the better.
fn rank(path: &str) -> (usize, bool) {
    let rank = RANKS.iter().position(|folder| path.starts_with(folder)).unwrap_or(RANKS.len());
    let name = path.rsplit('/').next().unwrap_or_default();
    (rank, POOR.iter().any(|poor| name.starts_with(poor)))
}

/// Tells whether this path may name another device after the next boot.
pub(crate) fn is_unstable(device: &Device) -> bool {
    match &device.form {
        Form::Number(_) => true,
        Form::Path(path) => path.starts_with("/dev/sd") || path.starts_with("/dev/dm-"),
        Form::Mapping(_) | Form::Tag(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(paths: &[&str]) -> String {
        let number = DevNum::new(8, 1);
        let all = Paths::from([(number, paths.iter().map(ToString::to_string).collect())]);
        best(&all, number).map_or_else(|| "none".to_string(), |device| device.to_string())
    }

    #[test]
    fn the_link_that_lasts_and_speaks_is_chosen() {
        let all = [
            "/dev/sda1",
            "/dev/disk/by-path/pci-1-part1",
            "/dev/disk/by-diskseq/9-part1",
            "/dev/disk/by-id/wwn-0x5-part1",
            "/dev/disk/by-id/ata-disk-part1",
            "/dev/disk/by-partlabel/root",
        ];
        assert_eq!(chosen(&all), "/dev/disk/by-partlabel/root");
        assert_eq!(chosen(&all[..5]), "/dev/disk/by-id/ata-disk-part1");
        assert_eq!(chosen(&all[..4]), "/dev/disk/by-id/wwn-0x5-part1");
        assert_eq!(chosen(&all[..3]), "/dev/disk/by-path/pci-1-part1");
        assert_eq!(chosen(&all[..1]), "/dev/sda1");
        assert_eq!(chosen(&["/dev/dm-3", "/dev/mapper/data"]), "/dev/mapper/data");
        let label = "/dev/disk/by-partlabel/Basic\\x20data\\x20partition";
        assert_eq!(chosen(&[label, "/dev/vda1"]), label);
        // A path that does not fit into a row is left out.
        assert_eq!(chosen(&["/dev/disk/by-partlabel/a b"]), "none");
    }
}
