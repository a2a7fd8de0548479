//! The levels and layouts of a RAID, by the kernel's names (`raid_types` in `drivers/md/dm-raid.c`).

use super::super::choice::choice;

choice! {
    /// The level, with its layout.
    #[derive(Default)]
    Level {
        #[default]
        Raid0 = "raid0",
        Raid1 = "raid1",
        Raid10Far = "raid10_far",
        Raid10Offset = "raid10_offset",
        Raid10Near = "raid10_near",
        Raid10 = "raid10",
        Raid4 = "raid4",
        Raid5N = "raid5_n",
        Raid5Ls = "raid5_ls",
        Raid5Rs = "raid5_rs",
        Raid5La = "raid5_la",
        Raid5Ra = "raid5_ra",
        Raid6Zr = "raid6_zr",
        Raid6Nr = "raid6_nr",
        Raid6Nc = "raid6_nc",
        Raid6N6 = "raid6_n_6",
        Raid6Ls6 = "raid6_ls_6",
        Raid6Rs6 = "raid6_rs_6",
        Raid6La6 = "raid6_la_6",
        Raid6Ra6 = "raid6_ra_6",
    }
}

choice! {
    /// How copies are laid out with `raid10`.
    Raid10Format {
        /// Copies lie next to one another.
        Near = "near",
        /// In the next stripe.
        Offset = "offset",
        /// Far into the device.
        Far = "far",
    }
}

choice! {
    /// When a write is done that goes through the journal.
    JournalMode {
        /// When it is on the array.
        Writethrough = "writethrough",
        /// When it is in the journal.
        Writeback = "writeback",
    }
}

/// A group of levels with the same redundancy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Stripes without redundancy.
    Stripes,
    /// The same on every device.
    Mirror,
    /// Stripes of copies.
    Copies,
    /// Stripes with this many parity devices.
    Parity(u64),
}

impl Level {
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Raid0 => Family::Stripes,
            Self::Raid1 => Family::Mirror,
            Self::Raid10Far | Self::Raid10Offset | Self::Raid10Near | Self::Raid10 => Family::Copies,
            Self::Raid4 | Self::Raid5N | Self::Raid5Ls | Self::Raid5Rs | Self::Raid5La | Self::Raid5Ra => {
                Family::Parity(1)
            }
            Self::Raid6Zr
            | Self::Raid6Nr
            | Self::Raid6Nc
            | Self::Raid6N6
            | Self::Raid6Ls6
            | Self::Raid6Rs6
            | Self::Raid6La6
            | Self::Raid6Ra6 => Family::Parity(2),
        }
    }

    /// Returns the fewest devices that the kernel takes: a mirror may be waiting for its second one.
    pub(crate) fn least_devices(self) -> u64 {
        match self.family() {
            Family::Stripes | Family::Mirror => 1,
            Family::Copies | Family::Parity(..2) => 2,
            Family::Parity(_) => 4,
        }
    }

    /// Returns how copies are laid out where `raid10_format` is left out.
    pub(crate) fn raid10_format(self) -> Raid10Format {
        match self {
            Self::Raid10Far => Raid10Format::Far,
            Self::Raid10Offset => Raid10Format::Offset,
            _ => Raid10Format::Near,
        }
    }
}
