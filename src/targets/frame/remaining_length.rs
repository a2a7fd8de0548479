//! The length of a row that a map leaves out.

use super::no_room::NoRoom;
use crate::device::Device;

/// Returns the size of a device in sectors; `None` for a device whose size is not known yet.
pub(crate) type SizeOf<'a> = &'a dyn Fn(&Device) -> Option<u64>;

/// The length of a row that goes up to the end of its device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemainingLength {
    /// The length does not follow from the lower devices: the map must give it.
    NotApplicable,
    /// The length follows from the size of a device that is not known yet.
    Unknown,
    /// The length, in sectors, at least 1.
    Sectors(u64),
    /// The lower devices leave no room for a row.
    TooSmall(NoRoom),
}

impl RemainingLength {
    /// Returns the sectors that are left of `device` from sector `start` on.
    pub fn from_sector(device: &Device, start: u64, size_of: SizeOf<'_>) -> Self {
        Self::of_size(device, size_of, |size| {
            size.checked_sub(start).filter(|rest| *rest > 0).ok_or_else(|| NoRoom::AfterStart {
                device: device.into(),
                size,
                start,
            })
        })
    }

    /// Computes the length from the size of `device` in sectors, where that is known; `too_small` is the
    /// error of `length`.
    pub fn of_size(
        device: &Device,
        size_of: SizeOf<'_>,
        length: impl FnOnce(u64) -> Result<u64, NoRoom>,
    ) -> Self {
        size_of(device).map_or(Self::Unknown, |size| length(size).into())
    }

    /// Returns the shortest of `all`. One that is not known leaves the whole unknown; else the first that is
    /// too small is returned.
    pub fn shortest(all: impl IntoIterator<Item = Self>) -> Self {
        let mut shortest = Self::NotApplicable;
        for next in all {
            shortest = match (shortest, next) {
                (unknown @ Self::Unknown, _) | (_, unknown @ Self::Unknown) => unknown,
                (too_small @ Self::TooSmall(_), _) | (_, too_small @ Self::TooSmall(_)) => too_small,
                (Self::Sectors(one), Self::Sectors(two)) => Self::Sectors(one.min(two)),
                (Self::NotApplicable, other) | (other, Self::NotApplicable) => other,
            };
        }
        shortest
    }
}

impl From<Result<u64, NoRoom>> for RemainingLength {
    fn from(length: Result<u64, NoRoom>) -> Self {
        length.map_or_else(Self::TooSmall, Self::Sectors)
    }
}

/// Returns how many of `sectors` are in whole blocks of `block` sectors; `None` when there is not one block.
pub(crate) fn in_whole_blocks(sectors: u64, block: u64) -> Option<u64> {
    sectors.checked_div(block).filter(|blocks| *blocks > 0).map(|blocks| blocks * block)
}

#[cfg(test)]
mod tests {
    use super::NoRoom;
    use super::RemainingLength::{self, NotApplicable, Sectors, TooSmall, Unknown};

    #[test]
    fn the_shortest_is_known_only_when_all_are() {
        let too_small = |size| TooSmall(NoRoom::SmallestDevice(size));
        assert_eq!(RemainingLength::shortest([]), NotApplicable);
        assert_eq!(RemainingLength::shortest([Sectors(8), Sectors(4), Sectors(16)]), Sectors(4));
        assert_eq!(RemainingLength::shortest([Sectors(8), too_small(1), too_small(2)]), too_small(1));
        assert_eq!(RemainingLength::shortest([too_small(1), Unknown, Sectors(4)]), Unknown);
    }
}
