//! Nodes in `/dev/mapper`, where no udev makes them.
//!
//! A node is only made, moved or removed together with its device. An entry that already has the name decides:
//! the right node stays as it is; a node or link without a device is replaced; any other entry belongs to another
//! program, and a device is not created with that name or renamed to it. A crash can leave nodes behind, and the
//! next device with such a number would be reached by the old name, so [`Nodes::sweep`] looks for them.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::{self, Mode, SFlag};

use super::sysfs::numbered;
use crate::identity::{DevNum, Name, printable_path};
use crate::kernel::{KernelError, ListEntry};

/// The folder of the nodes.
pub(super) struct Nodes {
    folder: PathBuf,
}

/// The entry of a name.
#[derive(Debug, PartialEq, Eq)]
enum There {
    Nothing,
    /// A block node, or a link to one.
    Leads(DevNum),
    /// A link to nothing.
    Dangling,
    /// A file, a folder, a character device.
    Other,
}

impl Nodes {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Makes the node of a device. `list` is called when another entry has its name.
    pub(crate) fn make(
        &self,
        name: &Name,
        number: DevNum,
        list: impl Fn() -> Result<Vec<ListEntry>, KernelError>,
    ) -> Result<(), KernelError> {
        let path = self.path(name)?;
        match make_node(&path, number) {
            Err(Errno::EEXIST) if look(&path)? == There::Leads(number) => Ok(()),
            Err(Errno::EEXIST) => self.check(name, list).and_then(|()| self.replace(&path, number)),
            made => made.map_err(|errno| failed("make", &path, errno.into())),
        }
    }

    /// Checks that a device can have its node, before it is created. `list` is called when another entry has its
    /// name.
    pub(crate) fn check(
        &self,
        name: &Name,
        list: impl Fn() -> Result<Vec<ListEntry>, KernelError>,
    ) -> Result<(), KernelError> {
        let path = self.path(name)?;
        match look(&path)? {
            There::Nothing | There::Dangling => Ok(()),
            There::Leads(there) if is_stale(there, &path, &list()?) => Ok(()),
            There::Leads(there) => Err(in_the_way(&path, &format!("it leads to device {there}"))),
            There::Other => Err(in_the_way(&path, "it is not a block device")),
        }
    }

    /// Moves the node of a device that was renamed.
    pub(crate) fn rename(
        &self,
        old: &Name,
        new: &Name,
        number: DevNum,
        list: impl Fn() -> Result<Vec<ListEntry>, KernelError>,
    ) -> Result<(), KernelError> {
        self.make(new, number, list)?;
        let path = self.path(old)?;
        if look(&path)? == There::Leads(number) { unlink(&path) } else { Ok(()) }
    }

    /// Removes the node of a name that no device has any more. A device that was removed just now had `number`.
    /// `list` is called when the node has another number.
    pub(crate) fn remove(
        &self,
        name: &Name,
        number: Option<DevNum>,
        list: impl Fn() -> Result<Vec<ListEntry>, KernelError>,
    ) -> Result<(), KernelError> {
        // A device whose name can't have a node never got one.
        let Ok(path) = self.path(name) else { return Ok(()) };
        match look(&path)? {
            There::Dangling => unlink(&path),
            There::Leads(there) if Some(there) == number || is_stale(there, &path, &list()?) => unlink(&path),
            There::Leads(_) | There::Nothing | There::Other => Ok(()),
        }
    }

    /// Tells whether the node of a device is missing, or outlives the device.
    pub(crate) fn lag(&self, name: &Name, devices: &[ListEntry]) -> bool {
        let there = self.path(name).and_then(|path| look(&path));
        match devices.iter().find(|device| device.name == *name) {
            Some(device) => !there.is_ok_and(|there| there == There::Leads(device.number)),
            None => !there.is_ok_and(|there| there == There::Nothing),
        }
    }

    /// Removes, as far as it can, every node without a device, or of a device of dmctl that now has another name.
    /// Returns the numbers of the devices that have their own nodes.
    /// Links stay: a crash of dmctl leaves none.
    pub(crate) fn sweep(&self, devices: &[ListEntry]) -> HashSet<DevNum> {
        let devices: HashMap<DevNum, &ListEntry> =
            devices.iter().map(|device| (device.number, device)).collect();
        let mut there = HashSet::new();
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let is_node = entry.file_type().is_ok_and(|kind| kind.is_block_device());
            let Some(number) =
                is_node.then(|| entry.metadata().ok()).flatten().map(|node| numbered(node.rdev()))
            else {
                continue;
            };
            let device = devices.get(&number).copied();
            if device.is_some_and(|device| *entry.file_name().as_bytes() == *device.name.bytes()) {
                there.insert(number);
            } else if leads_astray(number, &entry.path(), device) {
                let _ = unlink(&entry.path());
            }
        }
        there
    }

    /// Returns the path of a name. A device that another tool named `control` has no node: that is the control node.
    fn path(&self, name: &Name) -> Result<PathBuf, KernelError> {
        let bytes = name.bytes();
        if matches!(&*bytes, b"" | b"." | b".." | b"control") || bytes.contains(&b'/') {
            let what = format!("make a node for a device named `{name}`");
            let source = io::Error::new(ErrorKind::InvalidInput, "this name is taken: rename the device");
            return Err(KernelError::Io { what, source });
        }
        Ok(self.folder.join(OsStr::from_bytes(&bytes)))
    }

    /// Replaces an entry by the node in one step: the name always has one of the two.
    fn replace(&self, path: &Path, number: DevNum) -> Result<(), KernelError> {
        let aside = self.folder.join(format!(".dmctl-{}-{}", number.major, number.minor));
        make_node(&aside, number).map_err(|errno| failed("make", &aside, errno.into()))?;
        fs::rename(&aside, path).map_err(|error| {
            // The error of the rename is the one to report.
            let _ = fs::remove_file(&aside);
            failed("replace", path, error)
        })
    }
}

fn look(path: &Path) -> Result<There, KernelError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => match fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(There::Dangling),
            metadata => metadata,
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(There::Nothing),
        metadata => metadata,
    }
    .map_err(|error| failed("look at", path, error))?;
    if metadata.file_type().is_block_device() {
        Ok(There::Leads(numbered(metadata.rdev())))
    } else {
        Ok(There::Other)
    }
}

/// Tells whether `number` is one of Device Mapper's that `path` should not have.
fn is_stale(number: DevNum, path: &Path, devices: &[ListEntry]) -> bool {
    leads_astray(number, path, devices.iter().find(|device| device.number == number))
}

/// Tells the same when the device of the number is known: there is no such device, or dmctl's has another name.
/// Numbers of other drivers are never stale.
fn leads_astray(number: DevNum, path: &Path, device: Option<&ListEntry>) -> bool {
    match device {
        Some(device) => {
            let ours = device.uuid.as_ref().is_some_and(|uuid| uuid.parts().is_some());
            ours && path.file_name().is_none_or(|name| *name.as_bytes() != *device.name.bytes())
        }
        None => is_device_mapper(number.major),
    }
}

/// Tells whether this is Device Mapper's major number, which is assigned when the module is loaded.
fn is_device_mapper(major: u32) -> bool {
    let devices = fs::read_to_string("/proc/devices").unwrap_or_default();
    let block = devices.split_once("Block devices:").map_or("", |(_, block)| block);
    block.lines().any(|line| line.trim().split_once(' ') == Some((&major.to_string(), "device-mapper")))
}

fn make_node(path: &Path, number: DevNum) -> Result<(), Errno> {
    let device = stat::makedev(number.major.into(), number.minor.into());
    stat::mknod(path, SFlag::S_IFBLK, Mode::S_IRUSR | Mode::S_IWUSR, device)
}

fn unlink(path: &Path) -> Result<(), KernelError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("take away", path, error)),
        _ => Ok(()),
    }
}

fn in_the_way(path: &Path, why: &str) -> KernelError {
    let text = format!("something else is there: {why}; take it away, then run `dmctl repair`");
    failed("make", path, io::Error::new(ErrorKind::AlreadyExists, text))
}

fn failed(verb: &str, path: &Path, source: io::Error) -> KernelError {
    KernelError::Io { what: format!("{verb} the node {}", printable_path(path)), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "stands for a call that may fail")]
    fn no_entries() -> Result<Vec<ListEntry>, KernelError> {
        Ok(Vec::new())
    }

    #[test]
    fn a_file_under_the_name_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let nodes = Nodes::new(folder.path());
        let name = Name::new("data").unwrap();
        fs::write(folder.path().join("data"), "mine").unwrap();
        let error = nodes.make(&name, DevNum::new(254, 0), no_entries).unwrap_err().to_string();
        assert!(error.contains("data: something else is there"), "{error}");
        nodes.remove(&name, None, no_entries).unwrap();
        nodes.sweep(&[]);
        assert_eq!(fs::read_to_string(folder.path().join("data")).unwrap(), "mine");
    }

    #[test]
    fn a_link_to_nothing_goes_with_its_device() {
        let folder = tempfile::tempdir().unwrap();
        let nodes = Nodes::new(folder.path());
        symlink("../dm-3", folder.path().join("data")).unwrap();
        nodes.sweep(&[]);
        assert!(fs::symlink_metadata(folder.path().join("data")).is_ok());
        nodes.remove(&Name::new("data").unwrap(), None, no_entries).unwrap();
        assert!(fs::symlink_metadata(folder.path().join("data")).is_err());
    }

    #[test]
    fn the_control_node_belongs_to_no_device() {
        let nodes = Nodes::new("/nowhere");
        for name in ["control", ".", "..", "a/b"] {
            let name = Name::from_kernel(name.as_bytes());
            assert!(nodes.make(&name, DevNum::new(254, 0), no_entries).is_err(), "{name}");
            assert!(nodes.remove(&name, None, no_entries).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_node_is_stale_when_its_device_is_gone_or_was_renamed() {
        let device = |name: &str, uuid: &str| ListEntry {
            name: Name::new(name).unwrap(),
            uuid: crate::identity::Uuid::from_kernel(uuid.as_bytes()),
            number: DevNum::new(254, 0),
        };
        let stale = |device| is_stale(DevNum::new(254, 0), Path::new("/dev/mapper/old"), &[device]);
        assert!(stale(device("new", "DMCTL-lab-x")));
        assert!(!stale(device("old", "DMCTL-lab-x")));
        assert!(!stale(device("new", "LVM-x")));
        assert!(!stale(device("new", "")));
        assert!(!is_stale(DevNum::new(1, 0), Path::new("/dev/mapper/old"), &[]), "a ram disk's number");
    }
}
