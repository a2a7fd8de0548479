//! Finds the users of a block device that sysfs does not list: processes, mounts in other mount namespaces, loop
//! devices.
//!
//! A mount that leaked into the namespace of a container or a service keeps its device open, and is not seen from
//! this namespace: so the mounts of each namespace that has a process are read once.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use nix::libc;
use rustix::fs::{AtFlags, FileType, StatxFlags, statx};

use super::lookup::at_path;
use super::sysfs::is_absent;
use super::users::{lossy, mounts};
use crate::identity::{DevNum, printable_path};
use crate::kernel::unseen::reason;
use crate::kernel::{HostPart, Process, Unseen, Users};

pub(super) fn openers(numbers: &BTreeSet<DevNum>) -> BTreeMap<DevNum, Users> {
    let mut found: BTreeMap<DevNum, Users> = BTreeMap::new();
    if numbers.is_empty() {
        return found;
    }
    for (number, holder) in loops().into_iter().filter(|(number, _)| numbers.contains(number)) {
        found.entry(number).or_default().holders.push(holder);
    }
    let mut unseen = unseen_processes();
    let mut namespaces: HashSet<PathBuf> = namespace(Path::new("/proc/self")).into_iter().collect();
    for (pid, folder) in processes() {
        let mut add = |number: DevNum, mount: Option<String>| {
            let command = lossy(&folder.join("comm")).unwrap_or_default();
            let process = Process { pid, command: command.trim_end().to_string(), mount };
            found.entry(number).or_default().processes.push(process);
        };
        match opened(&folder) {
            Ok(opened) => opened.intersection(numbers).for_each(|number| add(*number, None)),
            // It may have ended, and one that ends has nothing open.
            Err(error) if is_absent(&error) || error.raw_os_error() == Some(libc::ESRCH) => {}
            Err(error) => unseen.push(Unseen::reading(printable_path(&folder.join("fd")), reason(&error))),
        }
        if namespace(&folder).is_some_and(|own| namespaces.insert(own)) {
            let mountinfo = lossy(&folder.join("mountinfo")).unwrap_or_default();
            for number in numbers {
                for mount in mounts(&mountinfo, *number) {
                    add(*number, Some(mount));
                }
            }
        }
    }
    // One of a kind is enough.
    if let Some(unseen) = unseen.into_iter().next() {
        for number in numbers {
            found.entry(*number).or_default().unseen_processes = Some(unseen.clone());
        }
    }
    found
}

/// Tells that not all processes are visible.
pub(super) fn hidden() -> Option<HostPart> {
    (!unseen_processes().is_empty()).then_some(HostPart::Processes)
}

/// Returns why there may be processes that `/proc` does not list.
fn unseen_processes() -> Vec<Unseen> {
    /// The number of the first namespace of processes (`PROC_PID_INIT_INO` in `include/linux/proc_ns.h`).
    const FIRST: &str = "pid:[4026531836]";
    let own = Path::new("/proc/self/ns/pid");
    match fs::read_link(own) {
        Ok(namespace) if namespace == Path::new(FIRST) => Vec::new(),
        Ok(_) => vec![Unseen::reading("/proc", "it lists the processes of a container alone")],
        Err(error) => vec![Unseen::reading("/proc", reason(&error))],
    }
}

/// Lists all processes but this one, by number.
pub(super) fn processes() -> BTreeMap<u32, PathBuf> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pid = |name: &OsString| name.to_str()?.parse::<u32>().ok();
    entries
        .filter_map(|entry| Some((pid(&entry.file_name())?, entry.path())))
        .filter(|(pid, _)| *pid != process::id())
        .collect()
}

/// Lists the block devices that a process has open.
fn opened(process: &Path) -> io::Result<BTreeSet<DevNum>> {
    let entries = fs::read_dir(process.join("fd"))?.flatten();
    Ok(entries.filter_map(|entry| block_device(&entry.path())).collect())
}

/// Returns the block device behind an open file. Only facts that the kernel has in memory are read: a call to a
/// network file system whose server is gone would hang, and such a file is not a block device.
fn block_device(open: &Path) -> Option<DevNum> {
    let stat = statx(rustix::fs::CWD, open, AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE).ok()?;
    let block = FileType::from_raw_mode(stat.stx_mode.into()) == FileType::BlockDevice;
    block.then(|| DevNum::new(stat.stx_rdev_major, stat.stx_rdev_minor))
}

/// Returns the mount namespace that a process is in.
fn namespace(process: &Path) -> Option<PathBuf> {
    fs::read_link(process.join("ns/mnt")).ok()
}

/// Lists the loop devices over block devices, as pairs of the block device and the loop device.
fn loops() -> Vec<(DevNum, DevNum)> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let served = |folder: PathBuf| {
        let backing = lossy(&folder.join("loop/backing_file")).ok()?;
        let below = at_path(Path::new(backing.trim_end_matches('\n')))?;
        Some((below, DevNum::parse(lossy(&folder.join("dev")).ok()?.trim())?))
    };
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("loop"))
        .filter_map(|entry| served(entry.path()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_looked_at_by_what_they_have_open() {
        let own = Path::new("/proc/self");
        assert!(opened(own).unwrap().iter().all(|number| number.major > 0));
        assert!(namespace(own).is_some());
        assert!(!processes().contains_key(&process::id()));
        let none = openers(&BTreeSet::from([DevNum::new(4095, 1_048_575)]));
        assert!(none.values().all(|users| users.processes.is_empty() && users.holders.is_empty()));
    }
}
