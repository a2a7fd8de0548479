//! Reads a few bytes of a block device, past the page cache.
//!
//! The kernel's targets read and write their metadata behind the page cache, so what the cache holds may be
//! older than the disk. A device that is suspended, or has a suspended device below it, is not read: the read
//! would wait for the resume. Nor is a device that is below itself, or has such a device below it: the read would never
//! end.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::stat::{self, Mode, SFlag};

use super::stacking;
use super::sysfs::{folder, node, numbered};
use crate::identity::DevNum;
use crate::stack::{NamedStacks, Reach, position};

/// Direct reads begin, end and are stored at multiples of this; no disk has larger logical blocks.
const BLOCK: usize = 4096;
/// The most bytes that are read: metadata is shorter.
const MAX_LENGTH: usize = 1 << 20;

pub(super) fn read_direct(number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>> {
    // Some drivers create a device when its node is opened: so a device that does not exist is not opened.
    let there = folder(number).exists();
    if !there || length > MAX_LENGTH || is_held(number) {
        return None;
    }
    let file = open(number)?;
    let skip = usize::try_from(offset % u64::try_from(BLOCK).ok()?).ok()?;
    let from = offset - u64::try_from(skip).ok()?;
    let blocks = (skip + length).next_multiple_of(BLOCK);
    let mut memory = vec![0; blocks + BLOCK];
    let aligned = memory.as_ptr().align_offset(BLOCK);
    let buffer = memory.get_mut(aligned..aligned + blocks)?;
    let read = read_up_to(&file, buffer, from);
    (read >= skip + length).then(|| buffer[skip..skip + length].to_vec())
}

/// Fills the buffer as far as the device goes.
fn read_up_to(file: &File, buffer: &mut [u8], from: u64) -> usize {
    let mut read = 0;
    while read < buffer.len() {
        let Ok(done) = u64::try_from(read) else { break };
        match file.read_at(&mut buffer[read..], from + done) {
            Ok(0) => break,
            Ok(length) => read += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    read
}

position! {
    /// A device at or below the one that is read.
    struct Node;
}

/// Tells whether reads of a device would wait: it, or a device below it, is suspended, or is below itself.
fn is_held(number: DevNum) -> bool {
    let mut nodes = Vec::new();
    let mut reach = Reach::from_iter([number]);
    while let Some(number) = reach.next() {
        if fs::read_to_string(folder(number).join("dm/suspended")).is_ok_and(|text| text.trim() == "1") {
            return true;
        }
        let below = stacking::below(number);
        reach.extend(below.iter().copied());
        nodes.push((number, below));
    }
    let stacks: NamedStacks<DevNum, Node> = nodes.into_iter().collect();
    stacks.circles().next().is_some()
}

/// Opens a device by its number, whatever nodes there are.
fn open(number: DevNum) -> Option<File> {
    let by_number = PathBuf::from(format!("/dev/block/{number}"));
    open_node(&by_number, number)
        .or_else(|| node(number).and_then(|path| open_node(&path, number)))
        .or_else(|| open_own_node(number))
}

/// Opens a node if it is one of this device.
fn open_node(path: &Path, number: DevNum) -> Option<File> {
    let direct = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    let nonblocking = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = direct(nonblocking | libc::O_DIRECT).or_else(|_| direct(nonblocking)).ok()?;
    let metadata = file.metadata().ok()?;
    (metadata.file_type().is_block_device() && numbered(metadata.rdev()) == number).then_some(file)
}

/// Makes a node for the moment it takes to open it.
fn open_own_node(number: DevNum) -> Option<File> {
    let path = PathBuf::from(format!("/dev/.dmctl-peek-{}-{}", number.major, number.minor));
    let device = stat::makedev(number.major.into(), number.minor.into());
    // A node that a killed dmctl left behind will do: its number is checked when it is opened.
    let _ = stat::mknod(&path, SFlag::S_IFBLK, Mode::S_IRUSR, device);
    let file = open_node(&path, number);
    let _ = fs::remove_file(&path);
    file
}
