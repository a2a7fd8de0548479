//! By which of its paths a lower device is written: one that leads to the same disk after the next boot, and
//! tells a person which that is.
//!
//! The order is that of [`RANKS`]: first the label somebody gave the partition, then what the disk or the
//! partition says of itself, then what stands on it, then where it is plugged in. A node named by its driver
//! comes last, and a number is written where there is no path at all.

use std::collections::BTreeMap;

use crate::device::{Device, Form};
use crate::identity::DevNum;

/// Folders of links, the best first. What is not in one of them comes after.
const RANKS: [&str; 7] = [
    "/dev/mapper/",
    "/dev/disk/by-partlabel/",
    "/dev/disk/by-id/",
    "/dev/disk/by-partuuid/",
    "/dev/disk/by-uuid/",
    "/dev/disk/by-label/",
    "/dev/disk/by-path/",
];

/// Links that say nothing to a person, or that are given out anew at each boot.
const POOR: [&str; 6] = ["wwn-", "nvme-eui.", "scsi-3", "dm-uuid-", "lvm-pv-uuid-", "md-uuid-"];

/// Every path of every device.
pub(crate) type Paths = BTreeMap<DevNum, Vec<String>>;

/// The best path of a device, if it has one that can be written.
pub(crate) fn best(paths: &Paths, number: DevNum) -> Option<Device> {
    let all = paths.get(&number)?.iter().filter(|path| !path.starts_with("/dev/disk/by-diskseq/"));
    let parsed = all.filter_map(|path| Some((path, Device::parse(path).ok()?)));
    let (_, device) = parsed.min_by_key(|(path, _)| (rank(path), *path))?;
    Some(Device { number: Some(number), ..device })
}

/// The best path of a device, for a person.
pub(crate) fn best_path(paths: &Paths, number: DevNum) -> Option<String> {
    best(paths, number).map(|device| device.to_string())
}

/// The lower the better.
fn rank(path: &str) -> (usize, bool) {
    let rank = RANKS.iter().position(|folder| path.starts_with(folder)).unwrap_or(RANKS.len());
    let name = path.rsplit('/').next().unwrap_or_default();
    (rank, POOR.iter().any(|poor| name.starts_with(poor)))
}

/// Whether a device that is written like this may be another one after the next boot.
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
        // A path that no row can hold is none.
        assert_eq!(chosen(&["/dev/disk/by-partlabel/a\\x20b", "/dev/vda1"]), "/dev/vda1");
        assert_eq!(chosen(&["/dev/disk/by-partlabel/a b"]), "none");
    }
}
