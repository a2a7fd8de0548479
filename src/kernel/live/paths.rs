//! Lists the paths of block devices below `/dev`: their own nodes, those of Device Mapper, and udev's links.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::NODES;
use super::block::all;
use super::lookup::at_path;
use super::sysfs::node;
use crate::identity::DevNum;
use crate::kernel::KernelError;

/// The folder of udev's links: a subfolder for each way to identify disks.
const LINKS: &str = "/dev/disk";

pub(super) fn paths() -> Result<BTreeMap<DevNum, Vec<String>>, KernelError> {
    let mut paths: BTreeMap<DevNum, Vec<String>> = BTreeMap::new();
    let nodes = all()?.into_iter().filter_map(node);
    let links = entries(Path::new(LINKS)).into_iter().flat_map(|folder| entries(&folder));
    for path in nodes.chain(entries(Path::new(NODES))).chain(links) {
        // A name that is not UTF-8 can't be written into a map.
        if let (Some(text), Some(number)) = (path.to_str(), at_path(&path)) {
            paths.entry(number).or_default().push(text.to_string());
        }
    }
    Ok(paths)
}

/// Lists the entries of a folder, by name; an empty list where the folder does not exist.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<PathBuf> = read.map(|entry| entry.path()).collect();
    entries.sort();
    entries
}
