//! The devices below the lower devices of a map, down to the disks.
//!
//! They belong to other owners, to other subsystems or to other drivers: logical volumes, partitions, arrays, loop devices.
//! They are read from sysfs, without a call of Device Mapper, and only where a lower device has devices below it.

use super::Observed;
use crate::identity::DevNum;
use crate::kernel::{KernelError, ReadKernel};
use crate::stack::Reach;

impl Observed {
    /// Reads all block devices below those that are known.
    pub(super) fn read_downwards(&mut self, kernel: &dyn ReadKernel) -> Result<(), KernelError> {
        self.read_blocks_below(kernel)?;
        let is_named = |number: &DevNum| self.by_number(*number).is_none();
        let upper = self.blocks.values().filter(|block| !block.lower.is_empty()).map(|block| block.number);
        let named = upper.filter(is_named).filter_map(|number| Some((number, kernel.driver_name(number)?)));
        self.driver_names = named.collect();
        Ok(())
    }

    fn read_blocks_below(&mut self, kernel: &dyn ReadKernel) -> Result<(), KernelError> {
        let mut reach: Reach<DevNum> =
            self.blocks.values().flat_map(|block| block.lower.iter().copied()).collect();
        while let Some(number) = reach.next() {
            if self.blocks.contains_key(&number) {
                continue;
            }
            let Some(block) = self.read_known_block(kernel, number)? else { continue };
            reach.extend(block.lower.iter().copied());
            self.blocks.insert(number, block);
        }
        Ok(())
    }

    /// Lists the devices directly below a block device, as they are now. Empty for a disk, and for a device that was not
    /// read.
    pub fn below(&self, number: DevNum) -> &[DevNum] {
        self.block(number).map_or(&[], |block| &block.lower)
    }
}
