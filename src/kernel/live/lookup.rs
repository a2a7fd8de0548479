//! Finds block devices by path, and tells what else is at a path.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::sysfs::{exists, is_absent, numbered};
use crate::device::{Device, Form};
use crate::files::FileKind;
use crate::identity::DevNum;
use crate::kernel::unseen::reason;
use crate::kernel::{Absence, KernelError};

/// The number of links that the kernel follows in one path (`MAXSYMLINKS` in `include/linux/namei.h`).
const MAX_LINKS: usize = 40;

/// Returns the number of the block device at `path`, through any links; `None` when it is not a block device, or can't
/// be looked up.
pub(super) fn at_path(path: &Path) -> Option<DevNum> {
    let metadata = fs::metadata(path).ok()?;
    metadata.file_type().is_block_device().then(|| numbered(metadata.rdev()))
}

/// Finds a device. `None` where it is not there, and where it is not known which of two is meant: [`absence`] tells.
pub(super) fn resolve(device: &Device) -> Result<Option<DevNum>, KernelError> {
    if let Form::Number(number) = &device.form {
        return Ok(exists(*number)?.then_some(*number));
    }
    let exact = device.exact_path().and_then(|path| at_path(Path::new(path.as_ref())));
    if exact.is_some() {
        return Ok(exact);
    }
    let paths = device.paths();
    let mut found = paths.iter().filter_map(|path| at_path(Path::new(path.as_ref())));
    let first = found.next();
    Ok(first.filter(|first| found.all(|other| other == *first)))
}

/// Tells why [`resolve`] does not find a device.
pub(super) fn absence(device: &Device) -> Absence {
    let paths = device.paths();
    let found: Vec<(String, DevNum)> = paths
        .iter()
        .filter_map(|path| Some((path.to_string(), at_path(Path::new(path.as_ref()))?)))
        .collect();
    if let Ok(links) = <[(String, DevNum); 2]>::try_from(found) {
        return Absence::Ambiguous { links };
    }
    let reasons = paths.iter().map(|path| at(Path::new(path.as_ref())));
    reasons.reduce(|first, other| if first == Absence::Missing { other } else { first }).unwrap_or_default()
}

/// Tells what is at a path that is not a block device.
fn at(path: &Path) -> Absence {
    match fs::metadata(path) {
        // A block device that came after it was looked for is none of these.
        Ok(metadata) => {
            let kind = FileKind::of(metadata.file_type()).filter(|kind| *kind != FileKind::BlockDevice);
            kind.map_or(Absence::Missing, Absence::Unlike)
        }
        Err(error) if is_absent(&error) => destination(path)
            .map_or(Absence::Missing, |to| Absence::Dangling { to: to.to_string_lossy().into_owned() }),
        Err(error) => Absence::Unreadable { why: reason(&error) },
    }
}

/// Follows the links at the end of a path; `None` for a path that is not a link.
fn destination(path: &Path) -> Option<PathBuf> {
    let mut at = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&at) else { break };
        // A link is relative to its folder.
        at = at.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    (at != path).then(|| plain(&at))
}

/// Writes a path without `.` and `..`, where no folder on the way is a link.
fn plain(path: &Path) -> PathBuf {
    let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn told(path: &Path) -> String {
        let device = Device::parse(path.to_str().unwrap()).unwrap();
        assert_eq!(resolve(&device).unwrap(), None, "{}", path.display());
        absence(&device).to_string()
    }

    #[test]
    fn a_path_that_is_not_a_block_device_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::write(root.join("t.img"), "").unwrap();
        symlink("t.img", root.join("image")).unwrap();
        symlink("next", root.join("link")).unwrap();
        symlink("gone", root.join("next")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        nix::unistd::mkfifo(&root.join("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        let _socket = UnixListener::bind(root.join("socket")).unwrap();
        assert!(
            told(&root.join("t.img"))
                .starts_with("is a regular file, not a block device; attach it with losetup")
        );
        assert!(told(&root.join("image")).starts_with("is a regular file"));
        assert_eq!(
            told(&root.join("link")),
            format!("leads to {}/gone, which does not exist", root.display())
        );
        assert_eq!(told(&root.join("circle")), "can't be looked up: too many symbolic links encountered");
        assert_eq!(told(&root.join("fifo")), "is a FIFO, not a block device");
        assert_eq!(told(&root.join("socket")), "is a socket, not a block device");
        assert_eq!(told(&root), "is a folder, not a block device");
        assert_eq!(told(&root.join("nothing")), "does not exist");
        assert_eq!(told(&root.join("t.img/below")), "does not exist");
        assert_eq!(told(Path::new("/dev/null")), "is a character device, not a block device");
        assert_eq!(resolve(&Device::parse("4095:1048575").unwrap()).unwrap(), None);
        assert_eq!(absence(&Device::parse("4095:1048575").unwrap()), Absence::Missing);
    }

    #[test]
    fn only_what_can_appear_is_waited_for() {
        assert!(Absence::Missing.can_end());
        assert!(Absence::Dangling { to: String::new() }.can_end());
        assert!(!Absence::Unlike(FileKind::Regular).can_end());
        assert!(!Absence::Unreadable { why: String::new() }.can_end());
    }
}
