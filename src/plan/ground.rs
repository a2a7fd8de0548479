//! Follows the sectors that a table uses down to where they really are.
//!
//! A row uses sectors of a lower device. Where that is a mapping of the map or another mapped device with a linear row
//! there, these are sectors of the device below; those of a partition are sectors of its disk. So two devices can use the
//! same sectors though their tables name different devices. Any other layout ends the way down: its sectors are its own.

use std::ops::Range;

use smallvec::SmallVec;

use super::change::Change;
use super::changes::Changes;
use super::overlap::Identity;
use super::position::ChangeId;
use crate::config::State;
use crate::device::{Device, Written};
use crate::identity::DevNum;
use crate::observed::Observed;
use crate::stack::Reach;
use crate::table::Row;
use crate::targets::{self, DeviceAccess};

/// The most layers that are followed down: there may be a circle of devices.
const MAX_DEPTH: usize = 64;

/// The moment at which tables are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Moment {
    /// As the kernel has them.
    Before,
    /// As they are once the plan is carried out.
    After,
}

/// A device, or a volume of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub device: Identity,
    pub volume: Option<u32>,
}

/// Sectors that a device uses, at one of the levels of the way down.
#[derive(Debug, Clone)]
pub(crate) struct Use {
    pub place: Place,
    /// The sectors; up to `u64::MAX` for all up to the end.
    pub sectors: Range<u64>,
    pub access: DeviceAccess,
    /// The lower device as the row names it.
    pub device: Written,
    /// The devices between the user and this place.
    pub through: Through,
    /// Whether one of these is not a mapping of the map.
    pub is_hidden: bool,
    /// Whether the table can be read. Otherwise the use is the most that there may be.
    pub is_known: bool,
}

/// The devices between a user and a place.
type Through = SmallVec<[Identity; 2]>;

/// The devices of a kernel and of a map, to be followed down.
pub(crate) struct Ground<'c, 'a> {
    changes: &'c Changes<'a>,
    observed: &'c Observed,
}

impl<'c, 'a> Ground<'c, 'a> {
    pub(crate) fn new(changes: &'c Changes<'a>, observed: &'c Observed) -> Self {
        Self { changes, observed }
    }

    /// The identity of the device with this number.
    pub(crate) fn identity(&self, number: DevNum) -> Identity {
        let mapping = self.changes.id_of_number(number, self.observed);
        mapping.map_or(Identity::Other(number), Identity::Mapping)
    }

    /// The number of a device, where it has one.
    pub(crate) fn number(&self, identity: Identity) -> Option<DevNum> {
        match identity {
            Identity::Mapping(id) => self.changes.all[id].number(),
            Identity::Other(number) => Some(number),
        }
    }

    /// Everything that a mapping uses at `moment`.
    pub(crate) fn uses(&self, id: ChangeId, moment: Moment) -> Vec<Use> {
        let change = &self.changes.all[id];
        match moment {
            Moment::After if has_table(change) => {
                self.uses_of(&change.rows, change.mapping.readonly, Moment::After)
            }
            Moment::After => Vec::new(),
            Moment::Before => change.number().map_or_else(Vec::new, |number| self.uses_of_living(number)),
        }
    }

    /// Everything that a mapped device uses as it is.
    pub(crate) fn uses_of_living(&self, number: DevNum) -> Vec<Use> {
        let Some(state) = self.observed.state(number) else { return Vec::new() };
        let (rows, is_known) = state.table.known();
        let mut uses = self.uses_of(&rows, state.info.read_only, Moment::Before);
        if !is_known && !state.info.read_only {
            // Each row that can't be read may use any sector of any device that is not in the other rows.
            let named: Vec<Place> = uses.iter().map(|known| known.place).collect();
            let held =
                self.observed.held_by(number).map(|held| Place { device: self.identity(held), volume: None });
            for place in held.filter(|place| !named.contains(place)) {
                let device = self.number(place.device).map(Device::numbered).unwrap_or_default();
                uses.push(Use {
                    place,
                    sectors: 0..u64::MAX,
                    access: DeviceAccess::Write,
                    device: (&device).into(),
                    through: Through::new(),
                    is_hidden: false,
                    is_known: false,
                });
            }
        }
        uses
    }

    /// Everything that rows use, at each level of the way down.
    fn uses_of(&self, rows: &[Row], read_only: bool, moment: Moment) -> Vec<Use> {
        let mut uses = Vec::new();
        for row in rows {
            // Whether an unknown type writes can't be told.
            let is_known = targets::find(row.target.kind()).is_some();
            let only_reads = read_only && !row.target.writes_unasked();
            for lower in row.lower_devices() {
                let Some(device) = self.lower(lower.device) else { continue };
                let end = lower.length.map_or(u64::MAX, |length| lower.start.saturating_add(length));
                self.down(
                    Use {
                        place: Place { device, volume: None },
                        sectors: lower.start..end,
                        access: if only_reads { DeviceAccess::Read } else { lower.access },
                        device: lower.device.into(),
                        through: Through::new(),
                        is_hidden: false,
                        is_known,
                    },
                    moment,
                    &mut uses,
                );
            }
            if let Some((pool, id)) = row.target.volume()
                && let Some(device) = self.lower(pool)
            {
                uses.push(Use {
                    place: Place { device, volume: Some(id) },
                    sectors: 0..u64::MAX,
                    access: if read_only { DeviceAccess::Read } else { DeviceAccess::Write },
                    device: pool.into(),
                    through: Through::new(),
                    is_hidden: false,
                    is_known,
                });
            }
        }
        uses
    }

    /// Whether a device outside the map is a mapped device or a partition, so that its sectors are those of another one.
    pub(crate) fn has_below(&self, number: DevNum) -> bool {
        let partition = || self.observed.block_around(number).is_some_and(|block| block.partition.is_some());
        self.observed.by_number(number).is_some() || partition()
    }

    /// The identity of a lower device, as a row names it.
    pub(crate) fn lower(&self, device: &Device) -> Option<Identity> {
        match device.key() {
            Some(key) => self.changes.id_of(key).map(Identity::Mapping),
            None => Some(self.identity(device.number.or_else(|| self.observed.number(device))?)),
        }
    }

    /// Adds a use, and the same sectors at each level below.
    fn down(&self, first: Use, moment: Moment, uses: &mut Vec<Use>) {
        let mut left = vec![first];
        while let Some(at) = left.pop() {
            if at.through.len() < MAX_DEPTH && !at.sectors.is_empty() {
                self.below(&at, moment, &mut left);
            }
            uses.push(at);
        }
    }

    /// Adds the sectors directly below a use.
    fn below(&self, at: &Use, moment: Moment, below: &mut Vec<Use>) {
        let device = at.place.device;
        let mut step = |to: Identity, sectors: Range<u64>, access: DeviceAccess| {
            // What is written through a device that shares its own lower device by design is shared there, too.
            let access = if at.access == DeviceAccess::Write { access } else { at.access };
            let mut through = at.through.clone();
            through.push(device);
            let is_hidden = at.is_hidden || matches!(device, Identity::Other(_));
            let place = Place { device: to, volume: None };
            below.push(Use { place, sectors, access, through, is_hidden, ..at.clone() });
        };
        match device {
            Identity::Mapping(id) => {
                let change = &self.changes.all[id];
                if moment == Moment::After {
                    if has_table(change) {
                        self.rows_below(&change.rows, &at.sectors, &mut step);
                    }
                } else if let Some(live) = change.device() {
                    self.rows_below(&live.table.known().0, &at.sectors, &mut step);
                }
            }
            Identity::Other(number) => {
                if let Some(state) = self.observed.state(number) {
                    self.rows_below(&state.table.known().0, &at.sectors, &mut step);
                } else if let Some(block) = self.observed.block_around(number)
                    && let Some(partition) = block.partition
                {
                    let end = at.sectors.end.min(block.sectors);
                    let place = |sector: u64| sector.saturating_add(partition.start);
                    step(self.identity(partition.disk), place(at.sectors.start)..place(end), at.access);
                }
            }
        }
    }

    /// Whether a device is made on another one, before the plan or after it, through any layers.
    pub(crate) fn is_above(&self, upper: Identity, lower: Identity) -> bool {
        let mut reach = Reach::from_iter([upper]);
        while let Some(at) = reach.next() {
            let live = self.number(at).and_then(|number| self.observed.state(number));
            let live = live.into_iter().flat_map(|state| state.table.lower_devices().iter().copied());
            let mut below: Vec<Identity> = live.map(|number| self.identity(number)).collect();
            if let Identity::Mapping(id) = at {
                below.extend(self.changes.lowers[id].iter().copied().map(Identity::Mapping));
            }
            if below.contains(&lower) {
                return true;
            }
            reach.extend(below);
        }
        false
    }

    /// Finds the places of sectors below the linear ones of `rows`.
    fn rows_below(
        &self,
        rows: &[Row],
        sectors: &Range<u64>,
        step: &mut dyn FnMut(Identity, Range<u64>, DeviceAccess),
    ) {
        let first = rows.partition_point(|row| row.end() <= sectors.start);
        for row in rows[first..].iter().take_while(|row| row.start < sectors.end) {
            let Some((device, offset)) = row.linear_map() else { continue };
            let Some(to) = self.lower(device) else { continue };
            let inside = sectors.start.max(row.start)..sectors.end.min(row.end());
            let place = |sector: u64| offset.saturating_add(sector - row.start);
            let uses = row.lower_devices();
            let shares = uses.iter().any(|lower| lower.device == device && lower.access.is_shared());
            let access = if shares { DeviceAccess::Shared } else { DeviceAccess::Write };
            step(to, place(inside.start)..place(inside.end), access);
        }
    }
}

/// Whether a mapping has a table after the plan that is known.
fn has_table(change: &Change<'_>) -> bool {
    change.mapping.state != State::Absent && !change.is_blocked()
}
