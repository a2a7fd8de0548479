//! Whether a device refuses writes: a property of its table, set when the table is loaded and valid from the resume
//! that makes it live (`DM_READONLY_FLAG` in `include/uapi/linux/dm-ioctl.h`).
//!
//! Documents (the map, the plan, the state of a kernel) write it as a boolean, `readonly` or `read_only`; functions
//! take this type, so that a call shows which of the two it asks for.

/// Whether a table is loaded read-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// The device refuses writes.
    ReadOnly,
    /// The device takes writes, as far as its targets do.
    Writable,
}

impl Access {
    /// Turns the boolean of a document into an access.
    pub const fn from_read_only(read_only: bool) -> Self {
        if read_only { Self::ReadOnly } else { Self::Writable }
    }

    /// Tells whether writes are refused: the boolean of a document.
    pub const fn is_read_only(self) -> bool {
        matches!(self, Self::ReadOnly)
    }
}
