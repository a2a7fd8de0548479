//! Lists the paths of block devices below `/dev`: their own nodes, those of Device Mapper, and udev's links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::NODES;
use super::block::all;
use super::lookup::at_path;
use super::sysfs::node;
use crate::identity::DevNum;

/// The folder of udev's links: a subfolder for each way to identify disks.
const LINKS: &str = "/dev/disk";
/// The database of udev: a record for each block device, `bMAJOR:MINOR`.
const RECORDS: &str = "/run/udev/data";

pub(super) fn paths() -> BTreeMap<DevNum, Vec<String>> {
    let mut paths: BTreeMap<DevNum, Vec<String>> = BTreeMap::new();
    let nodes = nodes();
    let links = entries(Path::new(LINKS)).into_iter().flat_map(|folder| entries(&folder));
    for path in nodes.into_iter().chain(entries(Path::new(NODES))).chain(links) {
        // A name that is not UTF-8 can't be written into a map.
        if let (Some(text), Some(number)) = (path.to_str(), at_path(&path)) {
            paths.entry(number).or_default().push(text.to_string());
        }
    }
    paths
}

/// Lists the paths that are known of a device, whether they are there or not: its node in devtmpfs, and the links in its
/// record of udev.
pub(super) fn recorded(number: DevNum) -> BTreeSet<String> {
    let node = node(number).and_then(|node| node.to_str().map(ToString::to_string));
    let record = fs::read_to_string(Path::new(RECORDS).join(format!("b{number}"))).unwrap_or_default();
    node.into_iter().chain(links(&record)).collect()
}

/// Lists the links in a record: lines such as `S:disk/by-id/x` (`device_update_db` in systemd's `device-private.c`).
fn links(record: &str) -> impl Iterator<Item = String> {
    record.lines().filter_map(|line| line.strip_prefix("S:")).map(|link| format!("/dev/{link}"))
}

/// Lists the nodes that drivers named. Without sysfs, which has the names, these are all nodes in `/dev` itself: disks and
/// partitions have theirs there.
fn nodes() -> Vec<PathBuf> {
    match all() {
        Ok(all) => all.into_iter().filter_map(node).collect(),
        Err(_) => entries(Path::new("/dev")).into_iter().filter(|path| !path.is_symlink()).collect(),
    }
}

/// Lists the entries of a folder, by name; an empty list where the folder does not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<PathBuf> = read.map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_udev_tells_the_links_of_a_device() {
        let record = "S:disk/by-id/x\nS:disk/by-label/a\\x20b\nI:1\nE:ID_FS_UUID=1\nG:systemd\n";
        assert_eq!(links(record).collect::<Vec<_>>(), ["/dev/disk/by-id/x", "/dev/disk/by-label/a\\x20b"]);
    }
}
