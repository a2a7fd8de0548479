//! The heads of lower devices, where targets keep metadata.
//!
//! A head is read as the map will arrange it: through the rows of its mappings, as far as these tell where a sector is,
//! whether or not the mapping has a device yet. So a stack that is brought up is not taken for a blank one. Where a row
//! does not tell, the head is read from the device of the mapping; without a device it can't be seen yet.

use std::borrow::Cow;

use super::Observed;
use crate::config::{Length, Map, Mapping};
use crate::device::Device;
use crate::identity::{DevNum, Key};
use crate::kernel::ReadKernel;
use crate::targets::{Below, Metadata, Target};
use crate::units::SECTOR;

/// The most mappings that are followed down a stack: a map may still hold a circle.
pub(super) const MAX_DEPTH: usize = 64;

/// The head of a device, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Head {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// A read fails.
    Unreadable,
    /// The mapping that it is read through has no device yet.
    NotYet(Key),
}

impl Head {
    /// Returns the bytes, if they could be read.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

/// The device of a head: a mapping of the map, or the number of any other device.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    Mapping(Key),
    Other(DevNum),
}

/// A device as the mapping that is written with it means it.
#[derive(Clone, Copy)]
pub(super) struct Used<'a> {
    pub(super) by: Option<&'a Mapping>,
    pub(super) device: &'a Device,
}

/// A part of a device, in bytes.
#[derive(Clone, Copy)]
struct Part {
    offset: u64,
    length: usize,
}

impl Observed {
    /// Reads the heads that hold this metadata.
    pub(super) fn read_heads<'m>(
        &mut self,
        kernel: &dyn ReadKernel,
        map: &'m Map,
        heads: impl IntoIterator<Item = (&'m Mapping, &'m Device, u64, usize)>,
    ) {
        for (mapping, device, offset, length) in heads {
            let used = Used { by: Some(mapping), device };
            let Some(holder) = self.holder(map, used) else { continue };
            let is_longer = |head: &Head| matches!(head, Head::Bytes(bytes) if bytes.len() < length);
            if self.heads.get(&(holder.clone(), offset)).is_none_or(is_longer) {
                let head = self.read_head(kernel, map, used, Part { offset, length }, MAX_DEPTH);
                if let (Head::Unreadable, Holder::Other(number)) = (&head, &holder) {
                    self.note_unread(kernel, &mapping.key, device, *number);
                }
                self.heads.insert((holder, offset), head);
            }
        }
    }

    pub(super) fn holder(&self, map: &Map, used: Used<'_>) -> Option<Holder> {
        let number = self.number_of(used);
        match self.mapping_of(map, used.device, number) {
            Some(mapping) => Some(Holder::Mapping(mapping.key.clone())),
            None => number.map(Holder::Other),
        }
    }

    pub(super) fn number_of(&self, used: Used<'_>) -> Option<DevNum> {
        used.device.number.or_else(|| self.number_for(used.by, used.device))
    }

    /// Returns the head of a device from byte `offset` on, as the map will arrange it. `None` for a device that does not
    /// exist, and where the map does not ask for it.
    pub(crate) fn head(&self, map: &Map, device: &Device, offset: u64) -> Option<&Head> {
        self.heads.get(&(self.holder(map, Used { by: None, device })?, offset))
    }

    /// Returns the bytes of each place of the metadata of a target; `None` for those that can't be read, or not yet.
    pub(crate) fn head_bytes(&self, map: &Map, target: &dyn Target) -> Vec<Option<Cow<'_, [u8]>>> {
        let bytes = |metadata: Metadata<'_>| match self.head(map, metadata.device, metadata.offset)? {
            Head::Bytes(bytes) => Some(Cow::Borrowed(bytes.as_slice())),
            Head::Unreadable | Head::NotYet(_) => None,
        };
        target.metadata().into_iter().map(bytes).collect()
    }

    /// Reads a part of a device. A byte may have several places, of which one that can be read is enough.
    fn read_head(
        &self,
        kernel: &dyn ReadKernel,
        map: &Map,
        used: Used<'_>,
        part: Part,
        depth: usize,
    ) -> Head {
        let number = self.number_of(used);
        let Some(mapping) = self.mapping_of(map, used.device, number) else {
            return number.map_or(Head::Unreadable, |number| peek(kernel, number, part));
        };
        let Some(depth) = depth.checked_sub(1) else { return Head::Unreadable };
        let mut bytes = Vec::with_capacity(part.length);
        while bytes.len() < part.length {
            let at = part.offset.saturating_add(bytes.len() as u64);
            let left = Part { offset: at, length: part.length - bytes.len() };
            match self.read_piece(kernel, map, mapping, left, depth) {
                Head::Bytes(piece) if !piece.is_empty() => bytes.extend(piece),
                Head::Bytes(_) => return Head::Unreadable,
                other => return other,
            }
        }
        Head::Bytes(bytes)
    }

    /// Reads the beginning of a part of a mapping, as far as it is in one place.
    fn read_piece(
        &self,
        kernel: &dyn ReadKernel,
        map: &Map,
        mapping: &Mapping,
        part: Part,
        depth: usize,
    ) -> Head {
        let Some((target, inside, rest)) = row_at(mapping, part.offset / SECTOR) else {
            return self.whole(kernel, mapping, part);
        };
        let places = match target.below(inside) {
            Below::Places(places) => places,
            Below::Fails => return Head::Unreadable,
            Below::Unknown => return self.whole(kernel, mapping, part),
        };
        let mut outcome = Head::Unreadable;
        for place in places {
            let (skipped, run) = (part.offset % SECTOR, place.run.min(rest).saturating_mul(SECTOR));
            let length = usize::try_from(run - skipped).unwrap_or(usize::MAX).min(part.length);
            let Some(start) = place.sector.checked_mul(SECTOR) else { continue };
            let below = Part { offset: start.saturating_add(skipped), length };
            match self.read_head(kernel, map, Used { by: Some(mapping), device: place.device }, below, depth)
            {
                Head::Unreadable => {}
                found @ Head::Bytes(_) => return found,
                not_yet @ Head::NotYet(_) => outcome = not_yet,
            }
        }
        outcome
    }

    /// Reads a part from the device of a mapping, if there is one.
    fn whole(&self, kernel: &dyn ReadKernel, mapping: &Mapping, part: Part) -> Head {
        let served = |seen: &&super::Seen| seen.mapped.as_ref().is_none_or(|mapped| mapped.info.live_table);
        match self.by_uuids(mapping).filter(served) {
            Some(seen) => peek(kernel, seen.listed.number, part),
            None => Head::NotYet(mapping.key.clone()),
        }
    }
}

fn peek(kernel: &dyn ReadKernel, number: DevNum, part: Part) -> Head {
    if part.length == 0 {
        return Head::Bytes(Vec::new());
    }
    kernel.peek(number, part.offset, part.length).map_or(Head::Unreadable, Head::Bytes)
}

/// Returns the target that has a sector of a mapping, the sector as the target [counts](crate::targets::Traits::counts_from_device)
/// it, and how many sectors of the row are left.
fn row_at(mapping: &Mapping, sector: u64) -> Option<(&dyn Target, u64, u64)> {
    for (start, row) in mapping.rows_from() {
        let start = start?;
        let inside = sector.checked_sub(start)?;
        let rest = match row.length {
            Length::Sectors(length) if inside >= length => continue,
            Length::Sectors(length) => length - inside,
            Length::Rest => u64::MAX,
        };
        let from = inside.checked_add(row.target.sectors_before(start))?;
        return Some((row.target.as_ref(), from, rest));
    }
    None
}
