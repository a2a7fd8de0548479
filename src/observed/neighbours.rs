//! The devices around the lower devices of changed tables: what is below these, and which other devices use the same.
//!
//! A table of a device outside the map is read only here, and so only if a table changes and takes new sectors: of each
//! mapped device below a lower device of that table, and of each mapped device that holds one of those. That is one call
//! for each; all else comes from sysfs.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::Observed;
use super::unseen::seen;
use crate::device_path;
use crate::identity::DevNum;
use crate::kernel::{BlockDevice, DeviceState, KernelError, ReadKernel, Slot, Unseen};
use crate::stack::Reach;
use crate::table::ReadTable;

/// The devices around the lower devices of changed tables.
#[derive(Debug, Default)]
pub(super) struct Neighbours {
    /// The lower devices of changed tables, and those below them.
    path: Vec<DevNum>,
    /// The mapped devices whose tables are not in the list of devices.
    tables: BTreeMap<DevNum, DeviceState>,
    /// The block devices below lower devices, and the partitions of disks that are lower devices.
    blocks: FxHashMap<DevNum, BlockDevice>,
    /// The partitions of each disk that is a lower device.
    partitions: BTreeMap<DevNum, Vec<DevNum>>,
    /// Disks whose partitions could not be seen, and devices that could not be seen themselves.
    unseen: FxHashMap<DevNum, Unseen>,
    /// The paths of the disks and partitions that may be in each other's way.
    paths: device_path::Paths,
}

impl Observed {
    /// Reads the devices around `lowers`, which are the lower devices of changed tables, and the users of `touched` and of
    /// all these devices. What is below a device that `is_listed` selects is among `lowers` itself. Only the first call has
    /// an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_neighbours(
        &self,
        kernel: &dyn ReadKernel,
        lowers: &[DevNum],
        touched: impl IntoIterator<Item = DevNum>,
        is_listed: &dyn Fn(DevNum) -> bool,
    ) -> Result<(), KernelError> {
        let mut around = Neighbours::default();
        let path = self.read_below(kernel, lowers, is_listed, &mut around)?;
        self.read_partitions(kernel, lowers, &mut around)?;
        let partitions: Vec<DevNum> = around.partitions.values().flatten().copied().collect();
        let numbers = touched.into_iter().chain(path.iter().copied()).chain(partitions);
        self.read_users(kernel, numbers)?;
        let holders = path.iter().filter_map(|number| self.users(*number)).flat_map(|users| &users.holders);
        let unknown = holders.copied().filter(|holder| self.mapped(*holder).is_none());
        for holder in unknown.collect::<BTreeSet<DevNum>>() {
            self.read_table(kernel, holder, &mut around)?;
        }
        self.read_places(kernel, lowers, &mut around)?;
        around.path = path;
        self.neighbours.get_or_init(|| around);
        Ok(())
    }

    /// Reads the devices below `lowers`, and returns all of them with `lowers`.
    fn read_below(
        &self,
        kernel: &dyn ReadKernel,
        lowers: &[DevNum],
        is_listed: &dyn Fn(DevNum) -> bool,
        around: &mut Neighbours,
    ) -> Result<Vec<DevNum>, KernelError> {
        let mut path = Vec::new();
        let mut reach: Reach<DevNum> = lowers.iter().copied().collect();
        while let Some(number) = reach.next() {
            path.push(number);
            if is_listed(number) {
                continue;
            }
            self.read_table(kernel, number, around)?;
            let table = self.mapped(number).or_else(|| around.tables.get(&number));
            reach.extend(table.into_iter().flat_map(|mapped| straight_below(&mapped.table)));
            if self.by_number(number).is_none() {
                self.read_block(kernel, number, around)?;
                let block = self.block(number).or_else(|| around.blocks.get(&number));
                reach.extend(block.and_then(|block| block.partition).map(|partition| partition.disk));
            }
        }
        Ok(path)
    }

    /// Reads the partitions of the disks among `lowers`.
    fn read_partitions(
        &self,
        kernel: &dyn ReadKernel,
        lowers: &[DevNum],
        around: &mut Neighbours,
    ) -> Result<(), KernelError> {
        for number in lowers {
            let block = self.block(*number).or_else(|| around.blocks.get(number));
            let is_disk = block.is_some_and(|block| block.partition.is_none());
            if is_disk && self.by_number(*number).is_none() && !around.partitions.contains_key(number) {
                match seen(kernel.partitions(*number))? {
                    Ok(partitions) => drop(around.partitions.insert(*number, partitions)),
                    Err(unseen) => drop(around.unseen.insert(*number, unseen)),
                }
            }
        }
        Ok(())
    }

    /// Reads the places and the paths of partitions, where one of them is in use or the disk of one is, or where a disk and
    /// a partition of it are lower devices.
    fn read_places(
        &self,
        kernel: &dyn ReadKernel,
        lowers: &[DevNum],
        around: &mut Neighbours,
    ) -> Result<(), KernelError> {
        let in_use = |number: &DevNum| {
            self.users(*number)
                .is_some_and(|users| !users.holders.is_empty() || !users.mounts.is_empty() || users.swap)
        };
        let in_the_way = around.partitions.values().filter(|all| all.iter().any(in_use));
        let in_the_way: Vec<DevNum> = in_the_way.flatten().copied().collect();
        for number in &in_the_way {
            self.read_block(kernel, *number, around)?;
        }
        let blocks = self.blocks.values().chain(around.blocks.values());
        let below_used = blocks.filter_map(|block| block.partition).any(|partition| in_use(&partition.disk));
        let together = |all: &Vec<DevNum>| all.iter().any(|number| lowers.contains(number));
        if !in_the_way.is_empty() || below_used || around.partitions.values().any(together) {
            // Without them, devices have their numbers.
            around.paths = seen(kernel.paths())?.unwrap_or_default();
        }
        Ok(())
    }

    fn read_block(
        &self,
        kernel: &dyn ReadKernel,
        number: DevNum,
        around: &mut Neighbours,
    ) -> Result<(), KernelError> {
        if self.block(number).is_none() && !around.blocks.contains_key(&number) {
            match seen(kernel.block_device(number))? {
                Ok(Some(block)) => drop(around.blocks.insert(number, block)),
                Ok(None) => {}
                Err(unseen) => drop(around.unseen.insert(number, unseen)),
            }
        }
        Ok(())
    }

    /// Reads the table of a mapped device, unless it is known.
    fn read_table(
        &self,
        kernel: &dyn ReadKernel,
        number: DevNum,
        around: &mut Neighbours,
    ) -> Result<(), KernelError> {
        let unknown = self.by_number(number).filter(|seen| seen.mapped.is_none());
        if let Some(seen) = unknown
            && !around.tables.contains_key(&number)
            // A device that is missing was removed between the two calls.
            && let Some(mapped) = kernel.device(&seen.id(), Slot::Live)?
        {
            around.tables.insert(number, mapped);
        }
        Ok(())
    }

    fn mapped(&self, number: DevNum) -> Option<&DeviceState> {
        self.by_number(number)?.mapped.as_ref()
    }

    /// Returns the state of a mapped device, wherever that was read.
    pub fn state(&self, number: DevNum) -> Option<&DeviceState> {
        self.mapped(number).or_else(|| self.neighbours.get()?.tables.get(&number))
    }

    /// Lists the lower devices of changed tables, and the devices below them, that a device holds.
    pub fn held_by(&self, holder: DevNum) -> impl Iterator<Item = DevNum> {
        let path = self.neighbours.get().into_iter().flat_map(|around| &around.path).copied();
        path.filter(move |number| self.users(*number).is_some_and(|users| users.holders.contains(&holder)))
    }

    /// Lists the mapped devices that hold a lower device of a changed table, or a device below one, some more than once.
    pub fn holders_around(&self) -> impl Iterator<Item = DevNum> {
        let path = self.neighbours.get().into_iter().flat_map(|around| &around.path);
        let holders = path.filter_map(|number| self.users(*number)).flat_map(|users| &users.holders);
        holders.copied().filter(|number| self.by_number(*number).is_some())
    }

    /// Returns a block device that is a lower device, is below one, or is a partition of one that is in use.
    pub fn block_around(&self, number: DevNum) -> Option<&BlockDevice> {
        self.block(number).or_else(|| self.neighbours.get()?.blocks.get(&number))
    }

    /// Lists the partitions of a disk that is a lower device of a changed table.
    pub fn partitions(&self, disk: DevNum) -> &[DevNum] {
        self.neighbours.get().and_then(|around| around.partitions.get(&disk)).map_or(&[], Vec::as_slice)
    }

    /// Returns what could not be seen of the users of a lower device, or of its partitions and theirs.
    pub fn unseen_use(&self, number: DevNum) -> Option<&Unseen> {
        let around = self.neighbours.get();
        let parts = self.partitions(number).iter().copied();
        let mut all = std::iter::once(number).chain(parts);
        all.find_map(|number| {
            let users = self.users(number).and_then(|users| users.unseen.first());
            users.or_else(|| around?.unseen.get(&number))
        })
    }

    /// Returns the path of a disk or of a partition for a person, or else its number.
    pub fn path_of(&self, number: DevNum) -> String {
        let node = self.neighbours.get().and_then(|around| around.paths.get(&number)?.first().cloned());
        node.unwrap_or_else(|| number.to_string())
    }
}

/// Lists the devices that hold the sectors of a table in the same order. Any other layout ends the way down.
fn straight_below(table: &ReadTable) -> SmallVec<[DevNum; 2]> {
    table.readable().iter().filter_map(|row| row.target.linear_map()?.0.number).collect()
}
