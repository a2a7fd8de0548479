//! The mapped devices below some devices, of any owner: whether they are suspended, and what is below them.
//!
//! Read once the changes are known, and only below devices that a target does I/O of its own to in a step of the plan. What
//! is below a device of another driver comes from sysfs, so a foreign mapped device is one call, and others are none.

use rustc_hash::FxHashMap;

use super::Observed;
use super::unseen::seen;
use crate::identity::DevNum;
use crate::kernel::{KernelError, ReadKernel, Slot};
use crate::stack::Reach;

/// What was read of the devices below some devices.
#[derive(Debug, Default)]
pub(super) struct Below {
    /// Whether a mapped device is suspended.
    suspended: FxHashMap<DevNum, bool>,
    /// The devices directly below one.
    lower: FxHashMap<DevNum, Vec<DevNum>>,
}

impl Observed {
    /// Reads these devices and all below them. Only the first call has an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub(crate) fn read_suspended(
        &self,
        kernel: &dyn ReadKernel,
        numbers: impl IntoIterator<Item = DevNum>,
    ) -> Result<(), KernelError> {
        let mut below = Below::default();
        let mut reach: Reach<DevNum> = numbers.into_iter().collect();
        while let Some(number) = reach.next() {
            let lower = match self.by_number(number) {
                Some(listed) => {
                    let read = match self.state(number) {
                        Some(_) => None,
                        // A device that is missing was removed since the list was read.
                        None => kernel.device(&listed.id(), Slot::Live)?,
                    };
                    let state = self.state(number).or(read.as_ref());
                    let Some(state) = state else { continue };
                    below.suspended.insert(number, state.info.suspended);
                    state.table.lower_devices().to_vec()
                }
                None => match self.block(number) {
                    Some(block) => block.lower.clone(),
                    // What is below one that can't be seen is not known: a table that would use it is refused for that.
                    None => match seen(kernel.block_device(number))? {
                        Ok(Some(block)) => block.lower,
                        Ok(None) | Err(_) => Vec::new(),
                    },
                },
            };
            reach.extend(lower.iter().copied());
            below.lower.insert(number, lower);
        }
        self.below.get_or_init(|| below);
        Ok(())
    }

    /// Whether a mapped device holds its I/O back, as far as that was read.
    pub(crate) fn is_suspended(&self, number: DevNum) -> bool {
        let read = || self.below.get()?.suspended.get(&number).copied();
        self.state(number).map(|state| state.info.suspended).or_else(read).unwrap_or(false)
    }

    /// Whether any mapped device that was read holds its I/O back.
    pub(crate) fn any_is_suspended(&self) -> bool {
        let mut states = self.devices.iter().filter_map(|seen| seen.mapped.as_ref());
        states.any(|state| state.info.suspended)
            || self.below.get().is_some_and(|below| below.suspended.values().any(|suspended| *suspended))
    }

    /// Lists the devices directly below one, as far as they were read.
    pub(crate) fn read_below_of(&self, number: DevNum) -> &[DevNum] {
        self.below.get().and_then(|below| below.lower.get(&number)).map_or(&[], Vec::as_slice)
    }
}
