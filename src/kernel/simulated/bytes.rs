//! The bytes that devices hold, as far as they are known: read through the mappings above, down to the disks, and
//! written to the heads of these.

use super::model::{MAX_DEPTH, Model};
use super::notation::Hex;
use super::state::Disk;
use crate::identity::DevNum;
use crate::targets::{self, Below, DeviceUse, Target};
use crate::units::SECTOR;

/// The most that is kept of the head of a disk, in bytes.
pub(super) const MAX_HEAD: usize = 1 << 20;
/// The most that is read at once.
const MAX_PEEK: usize = 16 << 20;

/// Bytes to be written to a disk.
#[derive(Debug)]
pub(super) struct Write {
    pub disk: DevNum,
    pub offset: u64,
    pub bytes: Vec<u8>,
    /// Whether the place is known to have been blank.
    pub onto_blank: bool,
}

/// Sectors of a mapping that are consecutive sectors of one disk.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub disk: DevNum,
    pub sector: u64,
    /// The number of sectors.
    pub length: u64,
}

impl Model {
    /// Finds the place of sector `sector` of a device below all mappings that tell where a sector is.
    pub(super) fn below(&self, number: DevNum, sector: u64) -> Option<Run> {
        self.places(number, sector).into_iter().next()
    }

    /// Finds all places that hold sector `sector` of a device, as copies of it.
    fn places(&self, number: DevNum, sector: u64) -> Vec<Run> {
        self.runs(Run { disk: number, sector, length: u64::MAX }, MAX_DEPTH)
    }

    fn runs(&self, at: Run, depth: usize) -> Vec<Run> {
        if let Some(disk) = self.disk(at.disk) {
            let left = disk.sectors.checked_sub(at.sector);
            return left.map(|left| Run { length: at.length.min(left), ..at }).into_iter().collect();
        }
        let live = self.mapping(at.disk).and_then(|mapping| mapping.live.as_ref());
        let row =
            live.and_then(|live| live.rows.iter().find(|row| (row.start..row.end()).contains(&at.sector)));
        let (Some(row), Some(depth)) = (row, depth.checked_sub(1)) else { return Vec::new() };
        let Ok(typed) = targets::parse(&row.kind, row.params()) else { return Vec::new() };
        let length = at.length.min(row.end() - at.sector);
        let next = |(disk, sector, run): (DevNum, u64, u64)| Run { disk, sector, length: length.min(run) };
        let below =
            places_below(typed.as_ref(), at.sector - row.start + typed.sectors_before(row.start), row.length);
        below.into_iter().flat_map(|place| self.runs(next(place), depth)).collect()
    }

    /// Makes the writes of bytes to a device from `sector` on. `None` where it has no known place.
    pub(super) fn writes(&self, number: DevNum, sector: u64, bytes: &[u8]) -> Option<Vec<Write>> {
        let mut writes = Vec::new();
        let mut done = 0;
        while done < bytes.len() {
            let places = self.places(number, sector.checked_add(u64::try_from(done).ok()? / SECTOR)?);
            let run = places.iter().map(|run| run.length).min().filter(|run| *run > 0)?;
            let piece =
                usize::try_from(run.saturating_mul(SECTOR)).unwrap_or(usize::MAX).min(bytes.len() - done);
            for Run { disk, sector, .. } in places {
                let bytes = bytes[done..done + piece].to_vec();
                writes.push(Write { disk, offset: sector.checked_mul(SECTOR)?, bytes, onto_blank: false });
            }
            done += piece;
        }
        Some(writes)
    }

    /// Reads bytes of a device.
    pub(super) fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>> {
        if length > MAX_PEEK {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset.checked_add(u64::try_from(bytes.len()).ok()?)?;
            let inside = at % SECTOR;
            let piece = self.places(number, at / SECTOR).into_iter().find_map(|run| {
                let left = run.length.saturating_mul(SECTOR).checked_sub(inside).filter(|left| *left > 0)?;
                let take = (length - bytes.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
                self.disk(run.disk)?.read(run.sector.checked_mul(SECTOR)? + inside, take)
            });
            bytes.extend(piece?);
        }
        Some(bytes)
    }

    /// Writes to the disks.
    pub(super) fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            if let Some(disk) = self.disks.get_mut(&write.disk) {
                disk.write(write.offset, &write.bytes);
            }
        }
    }
}

/// Returns the places below a sector of a row. A layout that only the kernel knows is modelled by one lower device: a model
/// keeps what is written where it is read from. What is encrypted can't be read.
fn places_below(typed: &dyn Target, sector: u64, length: u64) -> Vec<(DevNum, u64, u64)> {
    match typed.below(sector) {
        Below::Places(places) => {
            places.iter().filter_map(|place| Some((place.device.number?, place.sector, place.run))).collect()
        }
        Below::Unknown if matches!(typed.kind(), "raid" | "cache" | "writecache") => {
            let lower = typed.lower_devices(length);
            let data = lower.iter().rev().find(|lower| lower.length.is_some()).or(lower.last());
            let place = |lower: &DeviceUse<'_>| Some((lower.device.number?, lower.start + sector, u64::MAX));
            data.and_then(place).into_iter().collect()
        }
        Below::Unknown | Below::Fails => Vec::new(),
    }
}

impl Disk {
    /// Reads bytes of the disk; `None` where its content is not known.
    pub(super) fn read(&self, offset: u64, length: usize) -> Option<Vec<u8>> {
        let offset = usize::try_from(offset).ok()?;
        let head = self.head.as_ref().map_or(&[][..], |head| head.0.as_slice());
        let known = head.get(offset.min(head.len())..offset.checked_add(length)?.min(head.len()))?;
        let mut bytes = known.to_vec();
        if bytes.len() < length && !self.blank {
            return None;
        }
        bytes.resize(length, 0);
        Some(bytes)
    }

    /// Writes within the head that is kept; bytes behind it are dropped.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let Ok(offset) = usize::try_from(offset) else { return };
        let Some(end) = offset.checked_add(bytes.len()).filter(|end| *end <= MAX_HEAD) else { return };
        let head = &mut self.head.get_or_insert_with(Hex::default).0;
        head.resize(head.len().max(end), 0);
        head[offset..end].copy_from_slice(bytes);
        if self.blank {
            let used = head.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            head.truncate(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(blank: bool, head: Option<&[u8]>) -> Disk {
        Disk { blank, head: head.map(|h| Hex(h.to_vec())), ..Disk::new(DevNum::new(8, 0), 8) }
    }

    #[test]
    fn a_disk_reads_as_far_as_it_is_known() {
        assert_eq!(disk(true, None).read(100, 3), Some(vec![0, 0, 0]));
        assert_eq!(disk(false, None).read(0, 1), None);
        assert_eq!(disk(false, Some(b"ab")).read(1, 1), Some(b"b".to_vec()));
        assert_eq!(disk(false, Some(b"ab")).read(1, 2), None);
        assert_eq!(disk(true, Some(b"ab")).read(1, 2), Some(vec![b'b', 0]));
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut blank = disk(true, None);
        blank.write(32, b"magic\0\0\0");
        assert_eq!(blank.read(32, 8), Some(b"magic\0\0\0".to_vec()));
        assert_eq!(blank.head.as_ref().unwrap().0.len(), 37);
        let mut unknown = disk(false, None);
        unknown.write(0, &[0; 16]);
        assert_eq!(unknown.read(0, 16), Some(vec![0; 16]));
        unknown.write(u64::MAX, b"x");
        assert_eq!(unknown.read(16, 1), None);
    }
}
