//! Turns the rows of a mapping into a table: numbers for devices, lengths for `rest`. `checks` holds each row against
//! its lower devices.

mod checks;

use super::change::Change;
use super::conflict::Obstacle;
use super::lower_devices::LowerDevices;
use super::on_disk;
use crate::block_size::TableBlocks;
use crate::config::{Length, Mapping, MappingRow, State};
use crate::device::{Device, Form};
use crate::identity::DevNum;
use crate::observed::Meaning;
use crate::table::Row;
use crate::targets::{Problems, RemainingLength, Target};

/// Turns the rows of one mapping into a table.
pub(crate) struct Resolver<'r, 'a> {
    mapping: &'r Mapping,
    lowers: LowerDevices<'r, 'a>,
    /// The obstacles that were found in the rows.
    pub obstacles: Vec<Obstacle>,
    /// Set when an obstacle comes with this plan: a mapping below is changed so that it does not fit any more.
    pub caused_by_plan: bool,
    /// Set when a mapping below is blocked by a conflict. That conflict is reported there.
    pub blocked: bool,
    /// The logical blocks of the rows that are resolved.
    pub blocks: TableBlocks,
    /// The lower devices of a row that are not found.
    vanished: Vec<Obstacle>,
    /// Set when a link was taken for a lower device that the mapping has. It stands if the mapping needs another table.
    pub assumed: Option<Obstacle>,
}

impl<'r, 'a> Resolver<'r, 'a> {
    /// Creates a resolver for the rows of `mapping`, which has these lower devices.
    pub(crate) fn new(mapping: &'r Mapping, lowers: LowerDevices<'r, 'a>) -> Self {
        Self {
            mapping,
            lowers,
            obstacles: Vec::new(),
            caused_by_plan: false,
            blocked: false,
            blocks: TableBlocks::default(),
            vanished: Vec::new(),
            assumed: None,
        }
    }

    /// Returns the table, up to the first row that can't be resolved.
    pub(crate) fn table(&mut self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.mapping.rows.len());
        let mut start = 0;
        for row in &self.mapping.rows {
            let Some(resolved) = self.row(row, start) else { break };
            start = resolved.end();
            rows.push(resolved);
        }
        // Mostly the parts of lower devices that break the blocks are those of a row that does.
        let told = self.obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::Misaligned { .. }));
        if let Some(misaligned) = self.blocks.misaligned().filter(|_| !told) {
            self.caused_by_plan |= self.lowers.below.iter().any(|id| self.lowers.changes.all[*id].shifts);
            self.obstacles.push(Obstacle::RowsMisaligned(misaligned));
        }
        rows
    }

    fn row(&mut self, row: &MappingRow, start: u64) -> Option<Row> {
        let mut target = row.target.clone();
        let troubles = self.obstacles.len();
        for device in target.devices_mut() {
            self.resolve(device);
        }
        let unresolved =
            self.obstacles.len() > troubles || self.vanished.iter().any(|gone| !gone.hinders_only_a_load());
        // Told of the live table as well, which goes on.
        self.obstacles.append(&mut self.vanished);
        if unresolved {
            return None;
        }
        let (length, provisional) = match row.length {
            Length::Sectors(length) => (length, false),
            Length::Rest => self.remaining_length(target.as_ref(), start)?,
        };
        // Without the devices this is known only if no row before leaves its length out.
        if let Some(given) = row.start.filter(|given| *given != start) {
            self.obstacles.push(Obstacle::RowStart { kind: target.kind().into(), start, given });
        }
        target.fill_defaults(length);
        self.check_fields(target.as_ref(), length);
        self.check_messages(target.as_ref(), &row.messages);
        self.check_metadata(target.as_ref());
        self.check_own_sectors(target.as_ref(), start, length);
        for lower in &target.lower_sectors(start, length) {
            self.check(target.as_ref(), lower);
        }
        let blocks = self.check_blocks(target.as_ref(), length);
        self.blocks.add(start, length, blocks);
        Some(Row { start, length, target, messages: row.messages.clone(), provisional })
    }

    /// Returns the length of a row whose length the map leaves out, and whether it is only that of a first load.
    fn remaining_length(&mut self, target: &dyn Target, start: u64) -> Option<(u64, bool)> {
        if let Some(first) = target.first_length() {
            let known = on_disk::length(target, self.lowers);
            let heads = || self.lowers.observed.head_bytes(self.lowers.changes.map, target);
            if known.is_none() && target.leaves_blank() && heads().iter().all(Option::is_some) {
                let mut problems = Problems::default();
                let why =
                    "the disk holds no metadata that tells the length, and a load in this mode writes none";
                problems.at("length", why).help("give it a length");
                self.obstacles.extend(problems.into_vec().into_iter().map(Obstacle::Parameter));
                return None;
            }
            return Some((known.unwrap_or(first), known.is_none()));
        }
        match target.remaining_from(start, &|device| self.lowers.size(device)) {
            RemainingLength::Sectors(length) => Some((length, false)),
            RemainingLength::TooSmall(no_room) => {
                self.obstacles.push(Obstacle::NoRoom(no_room));
                None
            }
            RemainingLength::Unknown | RemainingLength::NotApplicable => {
                let troubles = self.obstacles.len();
                for lower in target.lower_devices(0) {
                    self.check_seen(lower.device);
                }
                if self.obstacles.len() == troubles {
                    self.size_unknown(target, start);
                }
                None
            }
        }
    }

    fn resolve(&mut self, device: &mut Device) {
        if device.key().is_some() {
            let below = self.lowers.change(device);
            device.number = below.and_then(Change::lasting_number);
            self.blocked |= below.is_some_and(Change::is_blocked);
            return;
        }
        let meaning = self.lowers.observed.meaning(self.mapping, device);
        let had = match meaning {
            Some(Meaning::Gone(gone)) => Some(*gone),
            _ => None,
        };
        let found = self.lowers.observed.number(device);
        if found.is_none() {
            self.vanished.push(Obstacle::LowerMissing {
                device: (&*device).into(),
                absence: self.lowers.observed.absence(device),
                wait: self.mapping.wait,
                had,
            });
        }
        let Some(leads_to) = found.or(had.map(|had| had.number)) else { return };
        let moved = || Obstacle::LinkMoved {
            device: (&*device).into(),
            leads_to: self.lowers.observed.called(leads_to),
        };
        let number = match meaning {
            None | Some(Meaning::Gone(_)) => leads_to,
            Some(Meaning::Had(number)) => *number,
            Some(Meaning::Shows(number)) => {
                self.assumed = Some(moved());
                *number
            }
            Some(Meaning::Unknown) => {
                let moved = moved();
                self.obstacles.push(moved);
                return;
            }
        };
        device.number = Some(number);
        if let Some(below) = self.lowers.change(device) {
            self.resolve_mapping(device, number, below);
        } else if let Some(name) =
            self.lowers.changes.pruned(number).filter(|_| !self.lowers.uses_already(number))
        {
            self.obstacles.push(Obstacle::LowerPruned { device: (&*device).into(), name: name.clone() });
        }
    }

    /// Resolves a device that is a mapping of this map, and is not written as `@key`.
    fn resolve_mapping(&mut self, device: &mut Device, number: DevNum, below: &Change<'_>) {
        let lower = below.mapping;
        if lower.state == State::Absent {
            if !self.lowers.uses_already(number) {
                self.obstacles
                    .push(Obstacle::LowerAbsent { device: (&*device).into(), key: lower.key.clone() });
            }
            return;
        }
        let named = match &device.form {
            Form::Path(path) => path.strip_prefix("/dev/mapper/"),
            _ => None,
        };
        if named.is_some_and(|name| name != lower.name.kernel() && name != lower.name.plain()) {
            self.obstacles.push(Obstacle::LowerRenamed {
                device: (&*device).into(),
                key: lower.key.clone(),
                name: lower.name.clone(),
            });
        }
        self.blocked |= below.is_blocked();
        if below.lasting_number().is_none() {
            // The mapping will have another number.
            *device = Device::mapping(lower.key.clone());
        }
    }

    fn size_unknown(&mut self, target: &dyn Target, start: u64) {
        if self.blocked {
            return;
        }
        let lowers = target.lower_devices(0);
        let mut below = lowers.iter().filter_map(|lower| self.lowers.change(lower.device));
        let unmade = below.find(|below| below.rows.iter().any(|row| row.provisional));
        let lower = unmade.map(|below| below.mapping.key.clone());
        self.obstacles.push(Obstacle::LengthUnknown { kind: target.kind().into(), start, lower });
    }
}
