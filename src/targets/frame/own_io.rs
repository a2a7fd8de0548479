//! When a target reads or writes a lower device by itself while its table comes or goes.
//!
//! The call that brings the table, or takes it away, waits for that I/O. Where the device, or one below it, is suspended,
//! it never ends: neither does the call, and no signal ends it.

/// The calls that wait for I/O of a target's own to a lower device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OwnIo {
    /// None.
    #[default]
    Never,
    /// The load of a table, unless the live one has the device already and hands over what it read.
    FirstLoad,
    /// The load of a table, or the resume that makes it live; and a suspend, a swap or a removal where something is left to
    /// be written.
    Flushed,
    /// The load of a table, and each suspend, swap and removal.
    EachChange,
    /// What takes the table away: a swap, a removal.
    End,
    /// A suspend, a swap and a removal, which wait for the copies that the target has on their way.
    Copies,
}

impl OwnIo {
    /// Whether a new table can't be had without it. `is_known` tells that the live table uses the device in the same way.
    pub fn is_for_a_load(self, is_known: bool) -> bool {
        match self {
            Self::Never | Self::End | Self::Copies => false,
            Self::FirstLoad => !is_known,
            Self::Flushed | Self::EachChange => true,
        }
    }

    /// Whether it may be that a live table can't be suspended without it.
    pub fn is_for_a_suspend(self) -> bool {
        matches!(self, Self::Flushed | Self::EachChange | Self::Copies)
    }

    /// Whether it may be that a live table can't be swapped or removed without it.
    pub fn is_for_an_end(self) -> bool {
        matches!(self, Self::Flushed | Self::EachChange | Self::End | Self::Copies)
    }
}
