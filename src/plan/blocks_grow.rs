//! The conflict of blocks that grow under something that needs smaller ones.

use std::fmt;

use crate::observed::Piece;

/// Blocks that grow under something that needs smaller ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlocksGrow {
    /// The name of the device, or its number.
    pub device: String,
    /// The logical block size that it has, in bytes.
    pub live: u64,
    /// The logical block size that it would get, in bytes.
    pub wanted: u64,
    /// Where it is mounted; `None` where it is swap space.
    pub mount: Option<String>,
    /// The pieces in which it is read and written.
    pub piece: Piece,
}

impl fmt::Display for BlocksGrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, live, wanted, mount, piece } = self;
        write!(
            f,
            "the logical block size of {device} would grow from {live} to {wanted} bytes, and {device} is "
        )?;
        match mount {
            Some(mount) => write!(f, "mounted on {mount}")?,
            None => f.write_str("swap space")?,
        }
        match piece {
            Piece::Known { kind, bytes } => {
                write!(f, ", as {kind} with blocks of {bytes} bytes, which breaks")?;
            }
            Piece::Unknown => {
                f.write_str(
                    ", with blocks of a size that could not be told, and breaks if they are smaller",
                )?;
            }
        }
        let (end, again) = if mount.is_some() { ("unmount", "mounted") } else { ("swapoff", "used") };
        write!(
            f,
            "; keep its blocks at {live} bytes, by the block size of its target or by an ebs target over a disk with larger \
             ones; or copy the data away and {end} it first, for it can't be {again} with such blocks"
        )
    }
}
