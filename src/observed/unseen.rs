//! What could not be seen of the devices that a map uses: data, so that a plan refuses what depends on it.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::Observed;
use crate::device::{Device, Written};
use crate::identity::{DevNum, Key};
use crate::kernel::{BlockDevice, KernelError, ReadKernel, Unseen};
use crate::stack::Reach;

/// What could not be seen.
#[derive(Debug, Default)]
pub(super) struct UnseenParts {
    /// Block devices.
    pub(super) blocks: FxHashMap<DevNum, Unseen>,
    /// For mappings, the lower devices whose metadata could not be read.
    pub(super) metadata: BTreeMap<Key, Vec<Written>>,
}

impl Observed {
    /// Reads a block device that is known to exist; an error of the system is kept.
    pub(super) fn read_known_block(
        &mut self,
        kernel: &dyn ReadKernel,
        number: DevNum,
    ) -> Result<Option<BlockDevice>, KernelError> {
        let unseen = match kernel.block_device(number) {
            Ok(Some(block)) => return Ok(Some(block)),
            Ok(None) => {
                Unseen::reading(format_args!("/sys/dev/block/{number}"), "it does not list the device")
            }
            Err(error) => Unseen::of(error)?,
        };
        self.unseen.blocks.insert(number, unseen);
        Ok(None)
    }

    /// Records that the metadata on a lower device of a mapping can't be read, where the device does not answer.
    pub(super) fn note_unread(
        &mut self,
        kernel: &dyn ReadKernel,
        mapping: &Key,
        device: &Device,
        number: DevNum,
    ) {
        if !kernel.answers(number) {
            self.unseen.metadata.entry(mapping.clone()).or_default().push(device.into());
        }
    }

    /// Returns what could not be seen of a device, or of the devices below it.
    pub(crate) fn unseen(&self, number: DevNum) -> Option<&Unseen> {
        if self.unseen.blocks.is_empty() {
            return None;
        }
        let mut reach = Reach::from_iter([number]);
        while let Some(number) = reach.next() {
            if let Some(unseen) = self.unseen.blocks.get(&number) {
                return Some(unseen);
            }
            reach.extend(self.below(number).iter().copied());
        }
        None
    }

    /// Lists the mappings with lower devices whose metadata could not be read.
    pub(crate) fn unread_metadata(&self) -> impl Iterator<Item = (&Key, &[Written])> {
        self.unseen.metadata.iter().map(|(key, devices)| (key, devices.as_slice()))
    }
}

/// Takes an answer of a kernel; an error of the system is one that could not be seen.
pub(super) fn seen<T>(answer: Result<T, KernelError>) -> Result<Result<T, Unseen>, KernelError> {
    match answer {
        Ok(answer) => Ok(Ok(answer)),
        Err(error) => Unseen::of(error).map(Err),
    }
}
