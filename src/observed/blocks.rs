//! The logical block sizes of the devices whose tables change, and of all above one whose blocks would grow.
//!
//! Read once the plan is known, and only for tables with blocks larger than a sector: on most hosts that is none.

use rustc_hash::FxHashMap;

use super::Observed;
use super::superblock::{self, Piece};
use super::unseen::seen;
use crate::identity::DevNum;
use crate::kernel::{Id, KernelError, ReadKernel, Slot, Unseen, Users};
use crate::stack::Reach;
use crate::table::ReadTable;
use crate::units::SECTOR;

/// A device, and what its blocks matter to.
#[derive(Debug, Default)]
pub struct BlockUser {
    /// Its logical block size as it is now, in sectors.
    pub block: u64,
    /// Its live table, for a mapped device.
    pub table: Option<ReadTable>,
    /// The devices directly above it, partitions included.
    pub above: Vec<DevNum>,
    /// What reads and writes it in pieces of a size.
    pub uses: Vec<PieceUse>,
    /// What could not be seen of it, and of its users.
    pub unseen: Vec<Unseen>,
}

/// What reads and writes a device in pieces of a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PieceUse {
    /// Where a file system is mounted; `None` for swap space.
    pub mount: Option<String>,
    /// The size of the pieces.
    pub piece: Piece,
}

impl Observed {
    /// Reads the logical block sizes of devices that are to have blocks of these sizes, in sectors. Where those grow, all devices
    /// above are read as well. Only the first call has an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_blocks(
        &self,
        kernel: &dyn ReadKernel,
        wanted: impl IntoIterator<Item = (DevNum, u64)>,
    ) -> Result<(), KernelError> {
        let mut known = FxHashMap::default();
        let mut reach = Reach::from_iter([]);
        for (number, wanted) in wanted {
            let block = match seen(kernel.block_device(number))? {
                Ok(Some(block)) => block,
                Ok(None) => continue,
                Err(unseen) => {
                    // Its blocks may be the smallest that there are.
                    known
                        .insert(number, BlockUser { block: 1, unseen: vec![unseen], ..BlockUser::default() });
                    continue;
                }
            };
            let block = u64::from(block.logical_block_size) / SECTOR;
            if wanted > block {
                reach.extend([number]);
            } else {
                known.insert(number, BlockUser { block, ..BlockUser::default() });
            }
        }
        while let Some(number) = reach.next() {
            let Some(user) = self.block_user_of(kernel, number)? else { continue };
            reach.extend(user.above.iter().copied());
            known.insert(number, user);
        }
        self.block_users.get_or_init(|| known);
        Ok(())
    }

    fn block_user_of(
        &self,
        kernel: &dyn ReadKernel,
        number: DevNum,
    ) -> Result<Option<BlockUser>, KernelError> {
        let block = match seen(kernel.block_device(number))? {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(None),
            Err(unseen) => {
                return Ok(Some(BlockUser { block: 1, unseen: vec![unseen], ..BlockUser::default() }));
            }
        };
        let listed = self.by_number(number);
        let table = match listed.map(|seen| (&seen.mapped, seen)) {
            Some((Some(mapped), _)) => Some(mapped.table.clone()),
            Some((None, seen)) => {
                let id = Id::stable(&seen.listed.name, seen.listed.uuid.as_ref());
                kernel.device(&id, Slot::Live)?.map(|device| device.table)
            }
            None => None,
        };
        // Processes, and loop devices, were looked for where a device of the map is open without a known user.
        let known = match self.users(number) {
            Some(users) => users.clone(),
            None => kernel.users(number)?,
        };
        let mut above = known.holders.clone();
        let mut unseen: Vec<Unseen> = known.unseen.iter().chain(&known.unseen_processes).cloned().collect();
        if table.is_none() {
            match seen(kernel.partitions(number))? {
                Ok(partitions) => above.extend(partitions),
                Err(other) => unseen.push(other),
            }
        }
        let uses = uses(&known, |offset, length| kernel.peek(number, offset, length));
        let block = u64::from(block.logical_block_size) / SECTOR;
        Ok(Some(BlockUser { block, table, above, uses, unseen }))
    }

    /// Returns the blocks of a device, and its users; `None` where they were not read.
    pub fn block_user(&self, number: DevNum) -> Option<&BlockUser> {
        self.block_users.get()?.get(&number)
    }
}

/// Lists the mounts and the swap space on a device, each with its pieces.
fn uses(users: &Users, peek: impl Fn(u64, usize) -> Option<Vec<u8>>) -> Vec<PieceUse> {
    let elsewhere = users.processes.iter().filter_map(|process| process.mount.as_ref());
    let mounts: Vec<&String> = users.mounts.iter().chain(elsewhere).collect();
    let piece = if mounts.is_empty() { Piece::Unknown } else { superblock::of_file_system(&peek) };
    let mounted = mounts.into_iter().map(|mount| PieceUse { mount: Some(mount.clone()), piece });
    let swap = users.swap.then(|| PieceUse { mount: None, piece: superblock::of_swap(&peek) });
    mounted.chain(swap).collect()
}
