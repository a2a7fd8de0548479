//! Reads the users of a block device: devices above it, file systems, swap.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::lookup::at_path;
use super::sysfs::{folder, is_absent};
use crate::identity::{DevNum, printable, printable_path};
use crate::kernel::unseen::reason;
use crate::kernel::{HostPart, Unseen, Users};

/// The list of the mounts of this process's mount namespace.
const MOUNTS: &str = "/proc/self/mountinfo";
/// The list of the swap spaces.
const SWAPS: &str = "/proc/swaps";

pub(super) fn users(number: DevNum) -> Users {
    let mut users = Users::default();
    match holders(number) {
        Ok(holders) => users.holders = holders,
        Err(unseen) => users.unseen.push(unseen),
    }
    match read_mounts(Path::new(MOUNTS)) {
        Ok(text) => users.mounts = mounts(&text, number),
        Err(unseen) => users.unseen.push(unseen),
    }
    match read_swaps() {
        Ok(text) => users.swap = is_swap(&text, number),
        Err(unseen) => users.unseen.push(unseen),
    }
    users
}

/// Lists which of mounts and swap spaces are not visible.
pub(super) fn hidden() -> impl Iterator<Item = HostPart> {
    let mounts = read_mounts(Path::new(MOUNTS)).is_err().then_some(HostPart::Mounts);
    mounts.into_iter().chain(read_swaps().is_err().then_some(HostPart::Swaps))
}

/// Reads a list of mounts. Each process has at least the mount of its root.
pub(super) fn read_mounts(path: &Path) -> Result<String, Unseen> {
    let text = lossy(path).map_err(|error| unseen(path, &error))?;
    let is_mount = |line: &str| line.split(' ').nth(2).is_some_and(|number| DevNum::parse(number).is_some());
    if text.lines().any(is_mount) {
        Ok(text)
    } else {
        Err(Unseen::reading(printable_path(path), "it lists no mount"))
    }
}

/// Reads the list of swap spaces. The kernel writes a head above it (`swap_show` in `mm/swapfile.c`); one without swap does
/// not have the file. In a container another file is often mounted over it, which tells of the container alone.
fn read_swaps() -> Result<Vec<u8>, Unseen> {
    let path = Path::new(SWAPS);
    let covers = |line: &str| line.split(' ').nth(4) == Some(SWAPS);
    if lossy(Path::new(MOUNTS)).is_ok_and(|mounts| mounts.lines().any(covers)) {
        return Err(Unseen::reading(SWAPS, "another file is mounted over it"));
    }
    match fs::read(path) {
        Ok(text) if text.starts_with(b"Filename") => Ok(text),
        Ok(_) => Err(Unseen::reading(SWAPS, "it is not a list of swap spaces")),
        Err(error) if is_absent(&error) && has_no_swap() => Ok(Vec::new()),
        Err(error) => Err(unseen(path, &error)),
    }
}

/// Whether the kernel tells that there is not any swap space.
fn has_no_swap() -> bool {
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("SwapTotal:"));
    total.is_some_and(|total| total.trim() == "0 kB")
}

fn unseen(path: &Path, error: &io::Error) -> Unseen {
    Unseen::reading(printable_path(path), reason(error))
}

/// Reads the text of a file. A mount point can be any bytes; one that is not UTF-8 must not hide the others.
pub(super) fn lossy(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// Lists the devices directly above this one: mappings, arrays and the like. Every block device has the list, if only an
/// empty one (`device_add_disk` in `block/genhd.c`, `add_partition` in `block/partitions/core.c`).
fn holders(number: DevNum) -> Result<Vec<DevNum>, Unseen> {
    let path = folder(number).join("holders");
    let mut holders = Vec::new();
    for entry in fs::read_dir(&path).map_err(|error| unseen(&path, &error))? {
        let entry = entry.map_err(|error| unseen(&path, &error))?;
        // A holder that was removed just now has no number.
        let text = fs::read_to_string(entry.path().join("dev")).unwrap_or_default();
        holders.extend(DevNum::parse(text.trim()));
    }
    holders.sort_unstable();
    Ok(holders)
}

/// Lists the mount points in the text of a `mountinfo` whose file system is on this device.
///
/// Most file systems carry the number of their device. One that can have several (btrfs) carries a number
/// of its own, with major 0, and names the device it was mounted by.
pub(super) fn mounts(mountinfo: &str, number: DevNum) -> Vec<String> {
    let on_device = |line: &&str| {
        let mut words = line.split(' ');
        match words.nth(2).and_then(DevNum::parse) {
            Some(own) if own.major == 0 => words
                .skip_while(|word| *word != "-")
                .nth(2)
                .map(unescaped)
                .filter(|source| source.starts_with("/dev/"))
                .is_some_and(|source| at_path(Path::new(&source)) == Some(number)),
            own => own == Some(number),
        }
    };
    let point = |line: &str| line.split(' ').nth(4).map(|point| printable(&unescaped(point)).into_owned());
    mountinfo.lines().filter(on_device).filter_map(point).collect()
}

/// Tells whether the text of `/proc/swaps` names this device.
fn is_swap(swaps: &[u8], number: DevNum) -> bool {
    swap_paths(swaps).any(|path| at_path(&path) == Some(number))
}

/// Lists the paths in the text of `/proc/swaps`. A path can be any bytes.
fn swap_paths(swaps: &[u8]) -> impl Iterator<Item = PathBuf> {
    let lines = swaps.split(|byte| *byte == b'\n').skip(1);
    let paths = lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next());
    paths.map(|path| match std::str::from_utf8(path) {
        Ok(path) => unescaped(path).into(),
        Err(_) => OsStr::from_bytes(path).into(),
    })
}

/// Undoes the kernel's escapes in the paths of these files: blanks, tabs, line ends and backslashes are `\ooo`.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let octal = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = octal {
            plain.push(char::from(byte));
            rest = &after[3..];
        } else {
            plain.push('\\');
            rest = after;
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTINFO: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / /dev rw - devtmpfs devtmpfs rw
30 22 254:3 / /srv/my\\040data rw,noatime shared:7 master:2 - xfs /dev/mapper/data rw
31 22 254:3 /sub /srv/bind rw - xfs /dev/mapper/data rw
32 22 0:40 / /mnt/b rw - btrfs /dev/null rw
";

    #[test]
    fn mounts_are_found_by_number() {
        let at = |major, minor| mounts(MOUNTINFO, DevNum::new(major, minor));
        assert_eq!(at(254, 3), ["/srv/my data", "/srv/bind"]);
        assert_eq!(at(8, 1), ["/"]);
        assert_eq!(at(0, 40), [""; 0]);
        assert_eq!(mounts("garbage\n\n1 2 3\n", DevNum::new(8, 1)), [""; 0]);
    }

    #[test]
    fn a_swap_path_that_is_not_utf_8_hides_no_other() {
        let swaps = b"Filename\tType\tSize\n/dev/mapper/\xff partition 8\n/my\\040swap\tfile\t8\n";
        let paths: Vec<PathBuf> = swap_paths(swaps).collect();
        assert_eq!(paths[0], Path::new(OsStr::from_bytes(b"/dev/mapper/\xff")));
        assert_eq!(paths[1], Path::new("/my swap"));
    }

    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(unescaped("/a\\040b\\134c"), "/a b\\c");
        assert_eq!(unescaped("/a\\"), "/a\\");
        assert_eq!(unescaped("/a\\9"), "/a\\9");
        assert_eq!(unescaped("/ü\\é"), "/ü\\é");
    }
}
