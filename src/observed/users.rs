//! The users of the devices that a plan touches, read once the plan is known.

use std::collections::{BTreeSet, HashMap};

use super::Observed;
use crate::identity::DevNum;
use crate::kernel::{KernelError, ReadKernel, Users};

/// The users of devices.
#[derive(Debug, Default)]
pub(super) struct DeviceUsers {
    /// The users of mapped devices, by their indices in the list.
    mapped: Vec<Option<Box<Users>>>,
    /// The users of all other devices.
    others: HashMap<DevNum, Users>,
}

impl DeviceUsers {
    fn of(&self, number: DevNum, place: Option<usize>) -> Option<&Users> {
        match place {
            Some(place) => self.mapped.get(place)?.as_deref(),
            None => self.others.get(&number),
        }
    }

    fn of_mut(&mut self, number: DevNum, place: Option<usize>) -> &mut Users {
        match place {
            Some(place) => self.mapped[place].get_or_insert_default(),
            None => self.others.entry(number).or_default(),
        }
    }
}

impl Observed {
    /// Reads the users of these devices and of every device above them. Only the first call has an effect: a plan reads
    /// them once, when the devices that it touches are known.
    ///
    /// # Errors
    ///
    /// The error of the kernel.
    pub fn read_users(
        &self,
        kernel: &dyn ReadKernel,
        numbers: impl IntoIterator<Item = DevNum>,
    ) -> Result<(), KernelError> {
        let mut known = DeviceUsers::default();
        known.mapped.resize_with(self.devices.len(), || None);
        // Devices that are open more often than their holders explain.
        let mut unexplained = BTreeSet::new();
        for number in numbers {
            let place = self.place_of_number(number);
            self.read_upwards(kernel, number, &mut known)?;
            let holders = known.of(number, place).map_or(0, |users| users.holders.len());
            if self.open_count(place).and_then(|n| usize::try_from(n).ok()).is_some_and(|n| n > holders) {
                unexplained.insert(number);
            }
        }
        for (number, users) in kernel.openers(&unexplained) {
            for holder in &users.holders {
                self.read_upwards(kernel, *holder, &mut known)?;
            }
            known.of_mut(number, self.place_of_number(number)).add(users);
        }
        self.users.get_or_init(|| known);
        Ok(())
    }

    /// Reads the users of a device and of those above it. A device that is not open has no users.
    fn read_upwards(
        &self,
        kernel: &dyn ReadKernel,
        lowest: DevNum,
        known: &mut DeviceUsers,
    ) -> Result<(), KernelError> {
        let mut left = vec![lowest];
        while let Some(number) = left.pop() {
            let place = self.place_of_number(number);
            if known.of(number, place).is_none() {
                let closed = self.open_count(place) == Some(0);
                let users = if closed { Users::default() } else { kernel.users(number)? };
                left.extend(&users.holders);
                *known.of_mut(number, place) = users;
            }
        }
        Ok(())
    }

    /// Returns the open count of the mapped device at an index of the list.
    fn open_count(&self, place: Option<usize>) -> Option<u32> {
        self.devices[place?].mapped.as_ref().map(|mapped| mapped.info.open_count)
    }

    /// Returns the users of a device; `None` where they were not read.
    pub fn users(&self, number: DevNum) -> Option<&Users> {
        self.users.get()?.of(number, self.place_of_number(number))
    }
}
