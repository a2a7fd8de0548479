//! The tables around the origins of new snapshots, of devices that the map does not declare.
//!
//! They are read once the changes are known, and only for the origins of snapshots that a plan makes: the origin itself,
//! and what is directly above it.

use rustc_hash::FxHashMap;

use super::Observed;
use crate::identity::DevNum;
use crate::kernel::{DeviceState, KernelError, ReadKernel, Slot};

impl Observed {
    /// Reads the tables of these devices and of those directly above them, unless they are read already. Their users
    /// must be known. Only the first call has an effect.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub(crate) fn read_around(
        &self,
        kernel: &dyn ReadKernel,
        numbers: impl IntoIterator<Item = DevNum>,
    ) -> Result<(), KernelError> {
        let mut around = FxHashMap::default();
        for number in numbers {
            let holders = self.users(number).map_or(&[][..], |users| &users.holders);
            for near in holders.iter().copied().chain([number]) {
                let Some(seen) = self.by_number(near).filter(|seen| seen.mapped.is_none()) else { continue };
                if around.contains_key(&near) {
                    continue;
                }
                // A device that is missing was removed since the list was read.
                if let Some(device) = kernel.device(&seen.id(), Slot::Live)? {
                    around.insert(near, device);
                }
            }
        }
        self.around.get_or_init(|| around);
        Ok(())
    }

    /// Returns the state of a mapped device, as far as it was read.
    pub(crate) fn state_of(&self, number: DevNum) -> Option<&DeviceState> {
        let own = self.by_number(number).and_then(|seen| seen.mapped.as_ref());
        own.or_else(|| self.around.get()?.get(&number))
    }
}
