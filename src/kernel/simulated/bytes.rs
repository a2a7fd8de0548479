//! The bytes that devices hold, as far as they are known: read through the mappings above, down to the disks, and
//! written to the heads of these.

use super::model::{MAX_DEPTH, World};
use super::notation::Hex;
use super::state::Disk;
use crate::identity::DevNum;
use crate::targets;
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
pub(super) struct Run {
    pub disk: DevNum,
    pub sector: u64,
    /// The number of sectors.
    pub length: u64,
}

impl World {
    /// Finds the place of sector `sector` of a device below all linear mappings. A sector has one way down, so nothing
    /// has to be visited but that.
    pub(super) fn below(&self, number: DevNum, sector: u64) -> Option<Run> {
        let mut run = Run { disk: number, sector, length: u64::MAX };
        for _ in 0..MAX_DEPTH {
            if let Some(disk) = self.disk(run.disk) {
                run.length = run.length.min(disk.sectors.checked_sub(run.sector)?);
                return Some(run);
            }
            let live = self.mapping(run.disk)?.live.as_ref()?;
            let row = live.rows.iter().find(|row| (row.start..row.end()).contains(&run.sector))?;
            let typed = targets::parse(&row.kind, row.params()).ok()?;
            let (device, offset) = typed.linear_map()?;
            run.length = run.length.min(row.end() - run.sector);
            run.disk = device.number?;
            run.sector = offset.checked_add(run.sector - row.start)?;
        }
        None
    }

    /// Reads bytes of a device.
    pub(super) fn peek(&self, number: DevNum, offset: u64, length: usize) -> Option<Vec<u8>> {
        if length > MAX_PEEK {
            return None;
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset.checked_add(u64::try_from(bytes.len()).ok()?)?;
            let run = self.below(number, at / SECTOR).filter(|run| run.length > 0)?;
            let inside = at % SECTOR;
            let left = run.length.saturating_mul(SECTOR) - inside;
            let take = (length - bytes.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
            bytes.extend(self.disk(run.disk)?.read(run.sector.checked_mul(SECTOR)? + inside, take)?);
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
