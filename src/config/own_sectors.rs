//! Finds a row that would use the same sectors for two purposes: a log over the data that it is the log of.
//!
//! Lower devices are followed down through the linear rows of the map, so that two mappings of one disk are told apart
//! by the sectors that they have of it.

use super::model::{Length, Mapping, MappingRow};
use super::overlap::SharedSectors;
use crate::device::Device;
use crate::targets::{DeviceAccess, DeviceUse, Target};

/// How deep mappings are followed down; deeper stacks are refused elsewhere.
const MAX_DEPTH: usize = 64;

/// Two uses of the same sectors by one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnSectors<'m> {
    /// The lower device of the first use.
    pub first: &'m Device,
    /// The lower device of the second use.
    pub second: &'m Device,
    /// The sectors, of the device that both lead to.
    pub sectors: SharedSectors,
}

/// Sectors of a device that is not followed down any further.
struct Run<D> {
    device: D,
    start: u64,
    end: u64,
}

/// The devices of a map, for following them down.
pub(crate) struct Ground<'f, 'm, D> {
    /// The identity by which devices are compared, where it is known.
    pub identity: &'f dyn Fn(&Device) -> Option<D>,
    /// The mapping of the map that a device is.
    pub mapping: &'f dyn Fn(&Device) -> Option<&'m Mapping>,
}

/// Returns two uses of the same sectors by a target, one of which writes. The place of its row is the first sector, and how
/// many there are.
pub(crate) fn find<'m, D: PartialEq>(
    target: &'m dyn Target,
    (start, length): (u64, u64),
    ground: &Ground<'_, '_, D>,
) -> Option<OwnSectors<'m>> {
    if target.has_ways() {
        return None;
    }
    let uses = target.lower_sectors(start, length);
    let end = |used: &DeviceUse<'_>| used.length.map_or(u64::MAX, |length| used.start.saturating_add(length));
    for (index, second) in uses.iter().enumerate() {
        for first in &uses[..index] {
            if first.access == DeviceAccess::Read && second.access == DeviceAccess::Read {
                continue;
            }
            let (mut above, mut below) = (Vec::new(), Vec::new());
            ground.follow(first.device, first.start..end(first), MAX_DEPTH, &mut above);
            ground.follow(second.device, second.start..end(second), MAX_DEPTH, &mut below);
            let mut pairs = above.iter().flat_map(|one| below.iter().map(move |two| (one, two)));
            let both = pairs.find_map(|(one, two)| one.common(two));
            if let Some(sectors) = both {
                return Some(OwnSectors { first: first.device, second: second.device, sectors });
            }
        }
    }
    None
}

impl<D: PartialEq> Run<D> {
    fn common(&self, other: &Self) -> Option<SharedSectors> {
        let (start, end) = (self.start.max(other.start), self.end.min(other.end));
        (self.device == other.device && start < end).then_some(SharedSectors { start, end })
    }
}

impl<D> Ground<'_, '_, D> {
    /// Adds the runs that sectors of a device are, as far down as linear rows lead.
    fn follow(&self, device: &Device, sectors: std::ops::Range<u64>, depth: usize, runs: &mut Vec<Run<D>>) {
        let below = (self.mapping)(device).filter(|mapping| depth > 0 && is_linear(mapping));
        let Some(mapping) = below else {
            let run = |device| Run { device, start: sectors.start, end: sectors.end };
            runs.extend((self.identity)(device).map(run));
            return;
        };
        for (start, row) in mapping.rows_from() {
            let Some(start) = start else { break };
            let end = match row.length {
                Length::Sectors(length) => start.saturating_add(length),
                Length::Rest => u64::MAX,
            };
            let (from, to) = (sectors.start.max(start), sectors.end.min(end));
            if let Some((lower, offset)) = row.target.linear_map().filter(|_| from < to) {
                let before = row.target.sectors_before(start);
                let place = |sector: u64| {
                    if sector == u64::MAX {
                        sector
                    } else {
                        offset.saturating_add(before).saturating_add(sector - start)
                    }
                };
                self.follow(lower, place(from)..place(to), depth - 1, runs);
            }
        }
    }
}

/// Whether every sector of a mapping is a sector of a lower device.
fn is_linear(mapping: &Mapping) -> bool {
    !mapping.rows.is_empty() && mapping.rows.iter().all(|row: &MappingRow| row.target.linear_map().is_some())
}
