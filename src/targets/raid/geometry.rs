//! How an array spreads its sectors over its devices, as the levels of `drivers/md` do.

use super::{Family, Raid, Raid10Format};

impl Raid {
    /// By how many devices the length of the array is divided; none with raid10, whose layouts differ.
    pub(super) fn data_devices(&self) -> Option<u64> {
        let count = self.devices.len() as u64;
        match self.level.family() {
            Family::Stripes => Some(count),
            Family::Mirror => Some(1),
            Family::Copies => None,
            Family::Parity(parity) => Some(count.saturating_sub(parity)),
        }
    }

    /// How many sectors a whole number of chunks on every device holds; the array ends with a whole one (`raid0_size`,
    /// `raid5_size` and `raid10_size` in `drivers/md`). None with raid1, which has no chunks.
    pub(super) fn stripe(&self) -> Option<u64> {
        let count = self.devices.len() as u64;
        let devices = match self.level.family() {
            Family::Mirror => return None,
            // Near copies share a stripe; the others need one for each copy.
            Family::Copies => match self.raid10_format.unwrap_or(self.level.raid10_format()) {
                Raid10Format::Near => count / greatest_common_divisor(count, self.copies()),
                Raid10Format::Offset | Raid10Format::Far => count,
            },
            Family::Stripes | Family::Parity(_) => self.data_devices()?,
        };
        self.chunk.0.checked_mul(devices).filter(|stripe| *stripe > 0)
    }

    /// How many copies there are with raid10.
    pub(super) fn copies(&self) -> u64 {
        self.raid10_copies.unwrap_or(2).into()
    }

    /// How much of each device the array uses; none where a reshape or a layout decides.
    pub(super) fn share(&self, length: u64) -> Option<u64> {
        let data = self.data_devices().filter(|data| *data > 0)?;
        (self.delta_disks.is_none() && self.data_offset.is_none()).then(|| length.div_ceil(data))
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { greatest_common_divisor(b, a % b) }
}
