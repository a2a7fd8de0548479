//! Reads what tells a block device from another of the same number and size.

use std::fs;
use std::path::Path;

use super::sysfs::folder;
use super::users::lossy;
use crate::identity::DevNum;
use crate::kernel::Hallmarks;

/// Where drivers tell the worldwide id of a disk: SCSI (`sdev_show_wwid` in `drivers/scsi/scsi_sysfs.c`), `NVMe` (`wwid_show`
/// in `drivers/nvme/host/sysfs.c`), DASD (`dasd_uid_show`).
const WWIDS: [&str; 3] = ["wwid", "device/wwid", "device/uid"];

/// Where drivers tell a serial number: virtio (`serial_show` in `drivers/block/virtio_blk.c`), memory cards (`cid` in
/// `drivers/mmc/core/mmc.c`), `NVMe` and others.
const SERIALS: [&str; 3] = ["serial", "device/cid", "device/serial"];

pub(super) fn hallmarks(number: DevNum) -> Hallmarks {
    of(&folder(number))
}

/// Reads the device with this folder in sysfs. A partition has the names of its disk, and its own.
fn of(folder: &Path) -> Hallmarks {
    if !folder.join("partition").exists() {
        return of_disk(folder);
    }
    // The folder is a link: `..` is the disk.
    let mut marks = of_disk(&folder.join(".."));
    marks.partuuid = partuuid(folder);
    marks.partition_start = text(&folder.join("start")).and_then(|start| start.parse().ok());
    marks
}

fn of_disk(folder: &Path) -> Hallmarks {
    let first = |files: &[&str]| files.iter().find_map(|file| text(&folder.join(file)));
    let wwid = first(&WWIDS);
    let serial = if wwid.is_none() { first(&SERIALS) } else { None };
    let file = text(&folder.join("loop/backing_file"));
    Hallmarks {
        wwid,
        serial,
        md_uuid: text(&folder.join("md/uuid")),
        backing_file: file,
        ..Hallmarks::default()
    }
}

/// Returns the uuid of a partition: newer kernels write it into the uevent (`part_uevent` in `block/partitions/core.c`).
fn partuuid(folder: &Path) -> Option<String> {
    let uevent = fs::read_to_string(folder.join("uevent")).ok()?;
    uevent.lines().find_map(|line| line.strip_prefix("PARTUUID=")).map(ToString::to_string)
}

/// Returns the text of a file; `None` for one that is missing, empty or refused by its driver, as those of disks that have
/// no such name are.
fn text(path: &Path) -> Option<String> {
    let text = lossy(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn each_driver_tells_its_name() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "sda/device/wwid", "naa.5000c500\n");
        write(root, "sda/device/serial", "never read");
        write(root, "sda/sda1/partition", "1\n");
        write(root, "sda/sda1/start", "2048\n");
        write(root, "sda/sda1/uevent", "DEVNAME=sda1\nPARTUUID=aa-01\n");
        write(root, "nvme0n1/wwid", "eui.00\n");
        write(root, "vda/serial", "abc");
        write(root, "md0/md/uuid", "0:1:2:3\n");
        write(root, "loop0/loop/backing_file", "/srv/a b.img\n");
        write(root, "sdb/device/wwid", "\n");
        let told = |folder: &str| of(&root.join(folder)).to_string();
        assert_eq!(told("sda"), "wwid naa.5000c500");
        assert_eq!(
            told("sda/sda1"),
            "wwid naa.5000c500, partition uuid aa-01, partition from sector 2048 on"
        );
        assert_eq!(told("nvme0n1"), "wwid eui.00");
        assert_eq!(told("vda"), "serial number abc");
        assert_eq!(told("md0"), "array uuid 0:1:2:3");
        assert_eq!(told("loop0"), "file /srv/a b.img");
        assert_eq!(told("sdb"), "none");
        assert_eq!(told("ram0"), "none");
    }
}
