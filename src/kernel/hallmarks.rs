//! What tells a block device from another one of the same number, path and size.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::printable;

/// What tells a block device from another: names that its maker, its driver or its table of partitions gave it. Each is
/// `None` where the system does not show it, and all of them are for a ram disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hallmarks {
    /// The worldwide id of the disk, as SCSI and `NVMe` disks have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wwid: Option<String>,
    /// The serial number of the disk, where it has no worldwide id: that of a virtual disk or of a memory card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The uuid of the array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md_uuid: Option<String>,
    /// The file of the loop device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backing_file: Option<String>,
    /// The uuid of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partuuid: Option<String>,
    /// The first sector of the partition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_start: Option<u64>,
    /// The links of udev that are made of the device itself, where none of the first four is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
}

/// Whether two devices are the same one, as far as their hallmarks tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// Nothing tells them apart.
    Same,
    /// They are two.
    Another,
    /// A name is seen of the one and not of the other.
    Unknown,
}

/// The folder of the links that are made of a device itself.
const BY_ID: &str = "/dev/disk/by-id/";

/// Links of that folder that are made of names or of what is stored on a device.
const OF_CONTENT: [&str; 4] = ["dm-name-", "lvm-pv-uuid-", "md-name-", "dm-uuid-"];

impl Hallmarks {
    /// Whether a name of the disk itself is known.
    fn has_own(&self) -> bool {
        [&self.wwid, &self.serial, &self.md_uuid, &self.backing_file].iter().any(|name| name.is_some())
    }

    /// Takes from the paths of the device what its driver does not tell.
    pub fn complete(&mut self, paths: &[String]) {
        const BY_PARTUUID: &str = "/dev/disk/by-partuuid/";
        if self.partition_start.is_some() && self.partuuid.is_none() {
            self.partuuid =
                paths.iter().find_map(|path| path.strip_prefix(BY_PARTUUID)).map(ToString::to_string);
        }
        if !self.has_own() {
            let is_own = |path: &&String| {
                let name = path.strip_prefix(BY_ID);
                name.is_some_and(|name| !OF_CONTENT.iter().any(|content| name.starts_with(content)))
            };
            self.links = paths.iter().filter(is_own).cloned().collect();
        }
    }

    /// Compares two devices. A name that only one of the two shows tells nothing: it may not be seen at the moment, as in a
    /// container without `/sys`. Of links one in common is enough: others come and go with udev's rules.
    pub fn compare(&self, other: &Self) -> Sameness {
        let names = |of: &Self| {
            let Self { wwid, serial, md_uuid, backing_file, partuuid, .. } = of.clone();
            [wwid, serial, md_uuid, backing_file, partuuid, of.partition_start.map(|start| start.to_string())]
        };
        let pairs: Vec<_> = names(self).into_iter().zip(names(other)).collect();
        let differs =
            |(one, two): &(Option<String>, Option<String>)| one.is_some() && two.is_some() && one != two;
        let no_links = self.links.is_empty() || other.links.is_empty();
        let linked = self.links.iter().any(|link| other.links.contains(link));
        if pairs.iter().any(differs) || !(no_links || linked) {
            Sameness::Another
        } else if pairs.iter().any(|(one, two)| one != two) || self.links.is_empty() != other.links.is_empty()
        {
            Sameness::Unknown
        } else {
            Sameness::Same
        }
    }
}

/// `wwid naa.5000c500, partition uuid 11aa`, or `none`.
impl fmt::Display for Hallmarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            ("wwid", &self.wwid),
            ("serial number", &self.serial),
            ("array uuid", &self.md_uuid),
            ("file", &self.backing_file),
            ("partition uuid", &self.partuuid),
        ];
        let named = named
            .into_iter()
            .filter_map(|(kind, name)| Some(format!("{kind} {}", printable(name.as_deref()?))));
        let start = self.partition_start.map(|start| format!("partition from sector {start} on"));
        let links = self.links.iter().map(|link| printable(link).into_owned());
        let all: Vec<String> = named.chain(start).chain(links).collect();
        f.write_str(if all.is_empty() { "none" } else { "" })?;
        f.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(paths: &[&str]) -> Hallmarks {
        let mut marks = Hallmarks::default();
        marks.complete(&paths.iter().map(ToString::to_string).collect::<Vec<_>>());
        marks
    }

    #[test]
    fn a_disk_without_a_name_has_its_links() {
        let one =
            links(&["/dev/sda", "/dev/disk/by-id/ata-A", "/dev/disk/by-id/wwn-1", "/dev/disk/by-uuid/1"]);
        assert_eq!(one.to_string(), "/dev/disk/by-id/ata-A, /dev/disk/by-id/wwn-1");
        let known_by = |paths: &[&str]| one.compare(&links(paths));
        assert_eq!(known_by(&["/dev/disk/by-id/wwn-1", "/dev/disk/by-id/scsi-1"]), Sameness::Same);
        assert_eq!(known_by(&["/dev/disk/by-id/wwn-2"]), Sameness::Another);
        assert_eq!(known_by(&["/dev/sda"]), Sameness::Unknown);
        assert_eq!(links(&["/dev/ram0", "/dev/disk/by-id/lvm-pv-uuid-x"]).to_string(), "none");
    }

    #[test]
    fn a_name_that_only_one_shows_tells_nothing() {
        let named = Hallmarks { wwid: Some("naa.1".into()), ..Hallmarks::default() };
        let blank = Hallmarks::default();
        assert_eq!((named.compare(&blank), blank.compare(&named)), (Sameness::Unknown, Sameness::Unknown));
        assert_eq!((named.compare(&named), blank.compare(&blank)), (Sameness::Same, Sameness::Same));
        // A name that differs tells, whatever is not seen beside it.
        let other = Hallmarks { wwid: Some("naa.2".into()), partition_start: Some(1), ..blank.clone() };
        assert_eq!(named.compare(&other), Sameness::Another);
        let mut part = Hallmarks { partition_start: Some(2048), ..named.clone() };
        part.complete(&["/dev/disk/by-partuuid/aa-01".into(), "/dev/disk/by-id/x-part1".into()]);
        assert_eq!(part.to_string(), "wwid naa.1, partition uuid aa-01, partition from sector 2048 on");
        assert_eq!(part.compare(&named), Sameness::Unknown);
    }
}
