//! The rows of a mapping as a table: numbers for devices, lengths for `rest`, and a check of what is below.
//!
//! The kernel checks little of this, and late: the size of a lower device only when a table is made live,
//! a shrunken lower mapping never, blocks larger than a sector not before the load.

use std::collections::HashMap;

use super::changes::{Changes, Standing};
use crate::config::{Length, Mapping, Row, State};
use crate::device::{Device, Form};
use crate::diff;
use crate::identity::{DevNum, Key};
use crate::kernel::Mapped;
use crate::observed::Observed;
use crate::sector_map::TypedRow;
use crate::targets::{Access, Lower, Problems, Typed};
use crate::units::SECTOR;

/// What will be of the mappings that were looked at already.
#[derive(Default)]
pub struct Below<'a> {
    /// The numbers of those that exist and stay.
    pub numbers: HashMap<&'a Key, DevNum>,
    /// How long they will be, in sectors.
    pub sizes: HashMap<&'a Key, u64>,
    /// The size of their blocks, in sectors, where it is more than one.
    pub blocks: HashMap<&'a Key, u64>,
}

/// Turns the rows of one mapping into a table.
pub struct Resolver<'r, 'a> {
    observed: &'r Observed,
    changes: &'r Changes<'a>,
    below: &'r Below<'a>,
    mapping: &'r Mapping,
    device: Option<&'r Mapped>,
    /// What stands in the way.
    pub says: Vec<String>,
    /// Whether something below stands in the way, of which is told there.
    pub blocked: bool,
    /// The size of the blocks of what is below, in sectors.
    pub block: u64,
}

impl<'r, 'a> Resolver<'r, 'a> {
    /// For the rows of `mapping`, which has this device.
    pub fn new(
        observed: &'r Observed,
        changes: &'r Changes<'a>,
        below: &'r Below<'a>,
        mapping: &'r Mapping,
        device: Option<&'r Mapped>,
    ) -> Self {
        Self { observed, changes, below, mapping, device, says: Vec::new(), blocked: false, block: 1 }
    }

    /// The table, as far as it can be had.
    pub fn table(&mut self) -> Vec<TypedRow> {
        let mut rows = Vec::with_capacity(self.mapping.rows.len());
        let mut start = 0;
        for row in &self.mapping.rows {
            let Some(resolved) = self.row(row, start) else { break };
            start = resolved.end();
            rows.push(resolved);
        }
        rows
    }

    fn row(&mut self, row: &Row, start: u64) -> Option<TypedRow> {
        let mut target = row.target.clone();
        let troubles = self.says.len();
        for device in target.devices_mut() {
            self.resolve(device);
        }
        if self.says.len() > troubles {
            return None;
        }
        let (length, provisional) = match row.length {
            Length::Sectors(length) => (length, false),
            Length::Rest => self.rest(target.as_ref(), start)?,
        };
        target.settle(length);
        self.check_fields(target.as_ref(), length);
        for lower in target.lowers(length) {
            self.check(&lower, start, length);
        }
        Some(TypedRow { start, length, target, messages: row.messages.clone(), provisional })
    }

    /// The length of a row that the map leaves out, and whether it is that of a first load.
    fn rest(&mut self, target: &dyn Typed, start: u64) -> Option<(u64, bool)> {
        if let Some(first) = target.first_length() {
            let known = self.on_disk(target);
            return Some((known.unwrap_or(first), known.is_none()));
        }
        match target.rest(&|device| self.size(device)) {
            Some(Ok(length)) => Some((length, false)),
            Some(Err(says)) => {
                self.says.push(says);
                None
            }
            None => {
                self.size_unknown(target.kind(), start);
                None
            }
        }
    }

    /// The length that the metadata of a target tells; where that can't be read, as that of a device that is
    /// suspended, the one that it has.
    fn on_disk(&self, target: &dyn Typed) -> Option<u64> {
        let metadata = target.metadata();
        let first = metadata.first()?;
        let head = self.observed.head(self.changes.map, first.device, first.offset);
        let live = self.device.and_then(|device| device.table.first());
        head.and_then(|head| target.length_on_disk(head))
            .or_else(|| live.filter(|live| live.kind == target.kind()).map(|live| live.length))
    }

    /// What could not be told before lengths and numbers were known.
    fn check_fields(&mut self, target: &dyn Typed, length: u64) {
        let mut problems = Problems::default();
        target.check(Some(length), &mut problems);
        self.says.extend(problems.into_vec().into_iter().map(|problem| problem.says));
    }

    fn resolve(&mut self, device: &mut Device) {
        if let Some(key) = device.key() {
            self.blocked |= self.is_blocked(key);
            device.number = self.below.numbers.get(key).copied();
            return;
        }
        let Some(number) = self.observed.number(device) else {
            self.says.push(format!("the lower device {device} does not exist"));
            return;
        };
        device.number = Some(number);
        if let Some(key) = self.changes.key_of(number) {
            self.resolve_mapping(device, number, key);
        } else if let Some(name) = self.changes.pruned(number).filter(|_| !self.stands_on(number)) {
            self.says.push(format!(
                "the lower device {} is `{name}`, which no mapping declares and prune = true removes",
                device.described()
            ));
        }
    }

    /// A mapping of this map that is not written as `@key`.
    fn resolve_mapping(&mut self, device: &mut Device, number: DevNum, key: &Key) {
        let Some(lower) = self.changes.get(key).map(|change| change.mapping) else { return };
        if lower.state == State::Absent {
            if self.stands_on(number) {
                return;
            }
            self.says.push(format!(
                "the lower device {} is the mapping `{key}`, which is to be absent",
                device.described()
            ));
            return;
        }
        let named = match &device.form {
            Form::Path(path) => path.strip_prefix("/dev/mapper/"),
            _ => None,
        };
        if named.is_some_and(|name| name != lower.name.kernel() && name != lower.name.plain()) {
            self.says.push(format!(
                "the lower device {} is the mapping `{key}`, which is to be called `{}`; write @{key}",
                device.described(),
                lower.name
            ));
        }
        self.blocked |= self.is_blocked(key);
        if self.changes.get(key).is_some_and(|change| matches!(change.standing, Standing::Replaced(_))) {
            // It will have another number.
            *device = Device::mapping(key.clone());
        }
    }

    /// Whether its device stands there already: then that one is in use, which is told where it is removed.
    fn stands_on(&self, number: DevNum) -> bool {
        self.device.is_some_and(|device| diff::lowers(&device.table).contains(&number))
    }

    fn is_blocked(&self, key: &Key) -> bool {
        self.changes.get(key).is_some_and(|change| change.standing == Standing::Blocked)
    }

    fn size_unknown(&mut self, kind: &str, start: u64) {
        if !self.blocked {
            self.says.push(format!(
                "the length of the {kind} target at sector {start} follows from a device whose size is not known"
            ));
        }
    }

    /// The mapping of this map that a device is.
    fn key(&self, device: &Device) -> Option<&'a Key> {
        self.changes.lower_key(self.observed, device)
    }

    /// The size a lower device will have: a mapping of the map that of its new table.
    fn size(&self, device: &Device) -> Option<u64> {
        self.size_of(device, self.key(device))
    }

    fn size_of(&self, device: &Device, key: Option<&Key>) -> Option<u64> {
        match key {
            Some(key) => self.below.sizes.get(key).copied(),
            None => device.number.and_then(|number| self.observed.block(number)).map(|block| block.sectors),
        }
    }

    fn check(&mut self, lower: &Lower<'_>, start: u64, length: u64) {
        let key = self.key(lower.device);
        if let (Some(size), Some(length)) = (self.size_of(lower.device, key), lower.length) {
            let end = lower.start.saturating_add(length);
            if end > size {
                self.says.push(format!(
                    "the lower device {} is too small: the table reaches to sector {end}, it has {size}",
                    lower.device.described()
                ));
            }
        }
        if lower.access != Access::Read && !self.mapping.readonly && self.is_read_only(lower.device, key) {
            self.says.push(format!(
                "the lower device {} is read-only, and this table would write to it; say readonly = true",
                lower.device.described()
            ));
        }
        self.check_blocks(lower, key, start, length);
    }

    /// Rows begin and end at the blocks of the devices below (`device_area_is_invalid` and
    /// `validate_hardware_logical_block_alignment` in `drivers/md/dm-table.c`).
    fn check_blocks(&mut self, lower: &Lower<'_>, key: Option<&Key>, start: u64, length: u64) {
        let block = self.block_of(lower.device, key);
        self.block = self.block.max(block);
        let Some(part) = lower.length.filter(|_| block > 1) else { return };
        let odd = [lower.start, part, start, length].into_iter().find(|sectors| sectors % block != 0);
        if let Some(odd) = odd {
            self.says.push(format!(
                "the lower device {} has blocks of {} bytes: starts and lengths must be multiples of {block} sectors, \
                 and {odd} is none",
                lower.device.described(),
                block * SECTOR
            ));
        }
    }

    fn block_of(&self, device: &Device, key: Option<&Key>) -> u64 {
        let bytes = match key {
            Some(key) => return self.below.blocks.get(key).copied().unwrap_or(1),
            None => device.number.and_then(|number| self.observed.block(number)),
        };
        bytes.map_or(1, |block| u64::from(block.logical_block_size) / SECTOR).max(1)
    }

    fn is_read_only(&self, device: &Device, key: Option<&Key>) -> bool {
        match key.and_then(|key| self.changes.get(key)) {
            Some(below) => below.mapping.readonly,
            None => device
                .number
                .and_then(|number| self.observed.block(number))
                .is_some_and(|block| block.read_only),
        }
    }
}
