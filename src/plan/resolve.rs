//! The rows of a mapping as a table: numbers for devices, lengths for `rest`, and a check of what is below.
//!
//! The kernel checks little of this, and late: the size of a lower device only when a table is made live,
//! a shrunken lower mapping never, blocks larger than a sector not before the load.

use super::change::Change;
use super::changes::Changes;
use super::conflict::Obstacle;
use super::position::ChangeId;
use crate::config::{Length, Mapping, MappingRow, State};
use crate::device::{Device, Form};
use crate::diff;
use crate::identity::DevNum;
use crate::kernel::{BlockDevice, DeviceState};
use crate::observed::Observed;
use crate::table::Row;
use crate::targets::{DeviceAccess, DeviceUse, Found, Problems, RemainingLength, Target};
use crate::units::SECTOR;

/// Turns the rows of one mapping into a table.
pub struct Resolver<'r, 'a> {
    observed: &'r Observed,
    changes: &'r Changes<'a>,
    mapping: &'r Mapping,
    device: Option<&'r DeviceState>,
    /// The mappings it stands on, as far as that is known: their places among all.
    lowers: &'r [ChangeId],
    /// What stands in the way.
    pub obstacles: Vec<Obstacle>,
    /// Whether something below stands in the way, of which is told there.
    pub blocked: bool,
    /// The size of the blocks of what is below, in sectors.
    pub block: u64,
}

impl<'r, 'a> Resolver<'r, 'a> {
    /// For the rows of `mapping`, which has this device and stands on these mappings.
    pub fn new(
        observed: &'r Observed,
        changes: &'r Changes<'a>,
        mapping: &'r Mapping,
        device: Option<&'r DeviceState>,
        lowers: &'r [ChangeId],
    ) -> Self {
        Self { observed, changes, mapping, device, lowers, obstacles: Vec::new(), blocked: false, block: 1 }
    }

    /// The table, as far as it can be had.
    pub fn table(&mut self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.mapping.rows.len());
        let mut start = 0;
        for row in &self.mapping.rows {
            let Some(resolved) = self.row(row, start) else { break };
            start = resolved.end();
            rows.push(resolved);
        }
        rows
    }

    fn row(&mut self, row: &MappingRow, start: u64) -> Option<Row> {
        let mut target = row.target.clone();
        let troubles = self.obstacles.len();
        for device in target.devices_mut() {
            self.resolve(device);
        }
        if self.obstacles.len() > troubles {
            return None;
        }
        let (length, provisional) = match row.length {
            Length::Sectors(length) => (length, false),
            Length::Rest => self.rest(target.as_ref(), start)?,
        };
        // Offline this is known only as far as no length was left out before.
        if let Some(given) = row.start.filter(|given| *given != start) {
            self.obstacles.push(Obstacle::RowStart { kind: target.kind().into(), start, given });
        }
        target.fill_defaults(length);
        self.check_fields(target.as_ref(), length);
        self.check_metadata(target.as_ref());
        for lower in target.lower_devices(length) {
            self.check(&lower, start, length);
        }
        Some(Row { start, length, target, messages: row.messages.clone(), provisional })
    }

    /// The length of a row that the map leaves out, and whether it is that of a first load.
    fn rest(&mut self, target: &dyn Target, start: u64) -> Option<(u64, bool)> {
        if let Some(first) = target.first_length() {
            let known = self.on_disk(target);
            return Some((known.unwrap_or(first), known.is_none()));
        }
        match target.remaining_length(&|device| self.size(device)) {
            RemainingLength::Sectors(length) => Some((length, false)),
            RemainingLength::TooSmall(says) => {
                self.obstacles.push(Obstacle::NoRoom(says));
                None
            }
            RemainingLength::Unknown | RemainingLength::NotApplicable => {
                self.size_unknown(target.kind(), start);
                None
            }
        }
    }

    /// The length that the metadata of a target tells; where that can't be read, as that of a device that is
    /// suspended, the one that it has.
    fn on_disk(&self, target: &dyn Target) -> Option<u64> {
        let metadata = target.metadata();
        let first = metadata.first()?;
        let head = self.observed.head(self.changes.map, first.device, first.offset);
        let live = self.device.and_then(|device| device.table.first());
        head.and_then(|head| target.length_on_disk(head))
            .or_else(|| live.filter(|live| live.kind == target.kind()).map(|live| live.length))
    }

    /// What could not be told before lengths and numbers were known.
    fn check_fields(&mut self, target: &dyn Target, length: u64) {
        let mut problems = Problems::default();
        target.check(Some(length), &mut problems);
        self.obstacles.extend(problems.into_vec().into_iter().map(Obstacle::Parameter));
    }

    /// What must not be loaded at all where its metadata is not there.
    fn check_metadata(&mut self, target: &dyn Target) {
        for metadata in target.metadata() {
            let head = self.observed.head(self.changes.map, metadata.device, metadata.offset);
            if head.is_some_and(|head| (metadata.look)(head) == Found::Fatal) {
                self.obstacles
                    .push(Obstacle::Metadata { device: metadata.device.into(), message: metadata.otherwise });
            }
        }
    }

    fn resolve(&mut self, device: &mut Device) {
        if device.key().is_some() {
            let below = self.below(device);
            device.number = below.and_then(Change::lasting_number);
            self.blocked |= below.is_some_and(Change::is_blocked);
            return;
        }
        let Some(number) = self.observed.number(device) else {
            self.obstacles.push(Obstacle::LowerMissing((&*device).into()));
            return;
        };
        device.number = Some(number);
        if let Some(below) = self.below(device) {
            self.resolve_mapping(device, number, below);
        } else if let Some(name) = self.changes.pruned(number).filter(|_| !self.stands_on(number)) {
            self.obstacles.push(Obstacle::LowerPruned { device: (&*device).into(), name: name.clone() });
        }
    }

    /// A mapping of this map that is not written as `@key`.
    fn resolve_mapping(&mut self, device: &mut Device, number: DevNum, below: &Change<'_>) {
        let lower = below.mapping;
        if lower.state == State::Absent {
            if !self.stands_on(number) {
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
            // It will have another number.
            *device = Device::mapping(lower.key.clone());
        }
    }

    /// Whether its device stands there already: then that one is in use, which is told where it is removed.
    fn stands_on(&self, number: DevNum) -> bool {
        self.device.is_some_and(|device| diff::lower_devices(&device.table).contains(&number))
    }

    fn size_unknown(&mut self, kind: &str, start: u64) {
        if !self.blocked {
            self.obstacles.push(Obstacle::LengthUnknown { kind: kind.into(), start });
        }
    }

    /// The mapping of this map that a device is.
    fn below(&self, device: &Device) -> Option<&'r Change<'a>> {
        let id = self.changes.id_of_lower(self.lowers, device, self.observed);
        id.map(|id| &self.changes.all[id])
    }

    /// Another device, by its number.
    fn block(&self, device: &Device) -> Option<&'r BlockDevice> {
        device.number.and_then(|number| self.observed.block(number))
    }

    /// The size a lower device will have: a mapping of the map that of its new table.
    fn size(&self, device: &Device) -> Option<u64> {
        match self.below(device) {
            Some(below) => below.size,
            None => self.block(device).map(|block| block.sectors),
        }
    }

    fn check(&mut self, lower: &DeviceUse<'_>, start: u64, length: u64) {
        let (size, block, read_only) = match self.below(lower.device) {
            Some(below) => (below.size, below.block, below.mapping.readonly),
            None => self.block(lower.device).map_or((None, 1, false), |block| {
                let sectors = u64::from(block.logical_block_size) / SECTOR;
                (Some(block.sectors), sectors.max(1), block.read_only)
            }),
        };
        if let (Some(size), Some(length)) = (size, lower.length) {
            let end = lower.start.saturating_add(length);
            if end > size {
                self.obstacles.push(Obstacle::LowerTooSmall { device: lower.device.into(), end, size });
            }
        }
        if lower.access != DeviceAccess::Read && !self.mapping.readonly && read_only {
            self.obstacles.push(Obstacle::LowerReadOnly(lower.device.into()));
        }
        self.block = self.block.max(block);
        if block > 1 {
            self.check_blocks(lower, block, start, length);
        }
    }

    /// Rows begin and end at the blocks of the devices below (`device_area_is_invalid` and
    /// `validate_hardware_logical_block_alignment` in `drivers/md/dm-table.c`).
    fn check_blocks(&mut self, lower: &DeviceUse<'_>, block: u64, start: u64, length: u64) {
        let Some(part) = lower.length else { return };
        let odd = [lower.start, part, start, length].into_iter().find(|sectors| sectors % block != 0);
        if let Some(odd) = odd {
            self.obstacles.push(Obstacle::Misaligned { device: lower.device.into(), block, odd });
        }
    }
}
