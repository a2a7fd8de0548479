//! The users of the devices that a plan touches, read once the plan is known.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{Observed, SeenId};
use crate::identity::{DevNum, printable};
use crate::kernel::{KernelError, ReadKernel, Users};
use crate::stack::{IndexVec, Marks, Reach};

/// The users of devices.
#[derive(Debug)]
pub(super) struct DeviceUsers {
    /// The users of mapped devices.
    mapped: IndexVec<SeenId, Option<Box<Users>>>,
    /// The users of all other devices.
    others: FxHashMap<DevNum, Users>,
    /// The names that their drivers gave to devices that are not mapped and use others.
    names: FxHashMap<DevNum, String>,
}

impl DeviceUsers {
    fn of(&self, number: DevNum, place: Option<SeenId>) -> Option<&Users> {
        match place {
            Some(place) => self.mapped[place].as_deref(),
            None => self.others.get(&number),
        }
    }

    fn of_mut(&mut self, number: DevNum, place: Option<SeenId>) -> &mut Users {
        match place {
            Some(place) => self.mapped[place].get_or_insert_default(),
            None => self.others.entry(number).or_default(),
        }
    }
}

/// Marks the devices whose users are read. A plan may touch a hundred thousand.
struct UsersRead<'o> {
    observed: &'o Observed,
    mapped: IndexVec<SeenId, bool>,
    others: FxHashSet<DevNum>,
}

impl<'o> UsersRead<'o> {
    fn new(observed: &'o Observed) -> Self {
        let mapped = IndexVec::filled(false, observed.devices.len());
        Self { observed, mapped, others: FxHashSet::default() }
    }
}

impl Marks<DevNum> for UsersRead<'_> {
    fn mark(&mut self, number: &DevNum) -> bool {
        match self.observed.place_of_number(*number) {
            Some(place) => !std::mem::replace(&mut self.mapped[place], true),
            None => self.others.insert(*number),
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
        let mut known = DeviceUsers {
            mapped: self.devices.iter().map(|_| None).collect(),
            others: FxHashMap::default(),
            names: FxHashMap::default(),
        };
        let numbers: Vec<DevNum> = numbers.into_iter().collect();
        let mut reach = Reach::with_marks(UsersRead::new(self));
        reach.extend(numbers.iter().copied());
        self.read_upwards(kernel, &mut reach, &mut known)?;
        let is_unexplained = |number: &DevNum| {
            let place = self.place_of_number(*number);
            let holders = known.of(*number, place).map_or(0, |users| users.holders.len());
            let open_count = self.open_count(place).and_then(|count| usize::try_from(count).ok());
            open_count.is_some_and(|count| count > holders)
        };
        // Devices that are open more often than their holders explain.
        let unexplained: BTreeSet<DevNum> = numbers.into_iter().filter(is_unexplained).collect();
        for (number, users) in kernel.openers(&unexplained) {
            reach.extend(users.holders.iter().copied());
            known.of_mut(number, self.place_of_number(number)).add(users);
        }
        self.read_upwards(kernel, &mut reach, &mut known)?;
        let users = known.mapped.iter().flatten().map(Box::as_ref).chain(known.others.values());
        let unmapped: BTreeSet<DevNum> = users
            .flat_map(|users| users.holders.iter().copied())
            .filter(|holder| self.place_of_number(*holder).is_none())
            .collect();
        known.names =
            unmapped.into_iter().filter_map(|number| Some((number, kernel.driver_name(number)?))).collect();
        self.users.get_or_init(|| known);
        Ok(())
    }

    /// Reads the users of the devices that are left to visit, and of every device above them. A device that is not open
    /// has no users.
    fn read_upwards(
        &self,
        kernel: &dyn ReadKernel,
        reach: &mut Reach<DevNum, UsersRead<'_>>,
        known: &mut DeviceUsers,
    ) -> Result<(), KernelError> {
        while let Some(number) = reach.next() {
            let place = self.place_of_number(number);
            let closed = self.open_count(place) == Some(0);
            let users = if closed { Users::default() } else { kernel.users(number)? };
            reach.extend(users.holders.iter().copied());
            *known.of_mut(number, place) = users;
        }
        Ok(())
    }

    /// Returns the open count of the mapped device.
    pub(super) fn open_count(&self, place: Option<SeenId>) -> Option<u32> {
        self.devices[place?].mapped.as_ref().map(|mapped| mapped.info.open_count)
    }

    /// Returns the name of a mapped device, or of a device that uses one; the number of any other.
    pub fn name_of(&self, number: DevNum) -> String {
        if let Some(seen) = self.by_number(number) {
            return seen.listed.name.to_string();
        }
        let name = self.users.get().and_then(|known| known.names.get(&number));
        name.map_or_else(|| number.to_string(), |name| printable(name).into_owned())
    }

    /// Returns the users of a device; `None` where they were not read.
    pub fn users(&self, number: DevNum) -> Option<&Users> {
        self.users.get()?.of(number, self.place_of_number(number))
    }
}
