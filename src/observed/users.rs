//! Who uses devices: learnt of those that a plan touches, once it is known which those are.

use std::collections::{BTreeSet, HashMap};

use super::Observed;
use crate::identity::DevNum;
use crate::kernel::{KernelError, ReadKernel, Users};

/// What was learnt.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// Of mapped devices, by their places in the list.
    mapped: Vec<Option<Box<Users>>>,
    /// Of all others.
    others: HashMap<DevNum, Users>,
}

impl Learnt {
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
    /// Learns who uses these devices, and who uses those that stand on them, up to the top. It is asked once,
    /// when it is known which devices a plan touches; a second time it is not asked any more.
    pub fn learn_users(
        &self,
        kernel: &dyn ReadKernel,
        numbers: impl IntoIterator<Item = DevNum>,
    ) -> Result<(), KernelError> {
        let mut learnt = Learnt::default();
        learnt.mapped.resize_with(self.devices.len(), || None);
        let mut puzzling = BTreeSet::new();
        for number in numbers {
            let place = self.place_of_number(number);
            self.learn_upwards(kernel, number, &mut learnt)?;
            let holders = learnt.of(number, place).map_or(0, |users| users.holders.len());
            if self.open_count(place).and_then(|n| usize::try_from(n).ok()).is_some_and(|n| n > holders) {
                puzzling.insert(number);
            }
        }
        for (number, users) in kernel.openers(&puzzling) {
            for holder in &users.holders {
                self.learn_upwards(kernel, *holder, &mut learnt)?;
            }
            learnt.of_mut(number, self.place_of_number(number)).add(users);
        }
        self.users.get_or_init(|| learnt);
        Ok(())
    }

    /// Learns who uses a device and those above it. Who uses a device has it open.
    fn learn_upwards(
        &self,
        kernel: &dyn ReadKernel,
        lowest: DevNum,
        learnt: &mut Learnt,
    ) -> Result<(), KernelError> {
        let mut left = vec![lowest];
        while let Some(number) = left.pop() {
            let place = self.place_of_number(number);
            if learnt.of(number, place).is_none() {
                let closed = self.open_count(place) == Some(0);
                let users = if closed { Users::default() } else { kernel.users(number)? };
                left.extend(&users.holders);
                *learnt.of_mut(number, place) = users;
            }
        }
        Ok(())
    }

    /// How often the mapped device at this place in the list is open.
    fn open_count(&self, place: Option<usize>) -> Option<u32> {
        self.devices[place?].mapped.as_ref().map(|mapped| mapped.info.open_count)
    }

    /// Who uses a device, as far as it was asked about.
    #[must_use]
    pub fn users(&self, number: DevNum) -> Option<&Users> {
        self.users.get()?.of(number, self.place_of_number(number))
    }
}
