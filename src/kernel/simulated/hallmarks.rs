//! What tells the disks of a simulated kernel from others.

use super::model::Model;
use super::state::Disk;
use crate::identity::DevNum;
use crate::kernel::Hallmarks;

impl Model {
    /// Returns what tells a disk from another. A partition has the names of its disk, and its own.
    pub(super) fn hallmarks(&self, number: DevNum) -> Hallmarks {
        let Some(disk) = self.disk(number) else { return Hallmarks::default() };
        let whole = disk.partition.map_or(Some(disk), |partition| self.disk(partition.disk));
        let of_whole = |name: fn(&Disk) -> &Option<String>| whole.and_then(|whole| name(whole).clone());
        Hallmarks {
            wwid: of_whole(|disk| &disk.wwid),
            serial: of_whole(|disk| &disk.serial),
            md_uuid: of_whole(|disk| &disk.md_uuid),
            backing_file: of_whole(|disk| &disk.backing_file),
            partuuid: disk.partuuid.clone(),
            partition_start: disk.partition.map(|partition| partition.start),
            links: Vec::new(),
        }
    }
}
