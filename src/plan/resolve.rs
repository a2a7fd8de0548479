//! Turns the rows of a mapping into a table: numbers for devices, lengths for `rest`, and a check of the lower devices.
//!
//! The kernel checks little of this, and late: the size of a lower device only when a table is made live, a shrunken
//! lower mapping not at all, blocks larger than a sector not before the load.

use super::change::{Change, Drift};
use super::changes::Changes;
use super::conflict::Obstacle;
use super::position::ChangeId;
use super::unseen_fact::UnseenFact;
use crate::block_size::{RowBlocks, TableBlocks};
use crate::config::own_sectors::{self, Ground, OwnSectors};
use crate::config::{Length, Mapping, MappingRow, State};
use crate::device::{Device, Form};
use crate::diff::{self, Difference, TableDiff};
use crate::identity::DevNum;
use crate::kernel::{BlockDevice, DeviceState};
use crate::observed::{Head, Meaning, Observed};
use crate::sector_map::SectorMap;
use crate::table::{self, Row};
use crate::targets::{
    Contradiction, DeviceAccess, DeviceUse, Found, OnDisk, Problems, RemainingLength, Target,
};
use crate::units::SECTOR;

/// Turns the rows of one mapping into a table.
pub(crate) struct Resolver<'r, 'a> {
    observed: &'r Observed,
    changes: &'r Changes<'a>,
    mapping: &'r Mapping,
    device: Option<&'r DeviceState>,
    /// The places of the mappings below, as far as they are known.
    lowers: &'r [ChangeId],
    /// The obstacles that were found in the rows.
    pub obstacles: Vec<Obstacle>,
    /// Set when an obstacle comes with this plan: a mapping below is changed so that it does not fit any more.
    pub caused_by_plan: bool,
    /// Set when a mapping below is blocked by a conflict. That conflict is reported there.
    pub blocked: bool,
    /// The logical blocks of the rows that are resolved.
    pub blocks: TableBlocks,
    /// Set when a link was taken for a lower device that the mapping has. It stands if the mapping needs another table.
    pub assumed: Option<Obstacle>,
}

impl<'r, 'a> Resolver<'r, 'a> {
    /// Creates a resolver for the rows of `mapping`, which has this device and uses these mappings.
    pub(crate) fn new(
        observed: &'r Observed,
        changes: &'r Changes<'a>,
        mapping: &'r Mapping,
        device: Option<&'r DeviceState>,
        lowers: &'r [ChangeId],
    ) -> Self {
        Self {
            observed,
            changes,
            mapping,
            device,
            lowers,
            obstacles: Vec::new(),
            caused_by_plan: false,
            blocked: false,
            blocks: TableBlocks::default(),
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
            self.caused_by_plan |= self.lowers.iter().any(|id| self.changes.all[*id].shifts);
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
        if self.obstacles.len() > troubles {
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
        self.check_metadata(target.as_ref());
        self.check_own_sectors(target.as_ref(), length);
        let lowers = target.lower_devices(length);
        for lower in &lowers {
            self.check(target.as_ref(), lower);
        }
        let blocks = RowBlocks::of(target.as_ref(), &lowers, |device| self.block_size(device));
        self.check_blocks(&lowers, blocks);
        self.blocks.add(start, length, blocks);
        Some(Row { start, length, target, messages: row.messages.clone(), provisional })
    }

    /// Returns the length of a row whose length the map leaves out, and whether it is only that of a first load.
    fn remaining_length(&mut self, target: &dyn Target, start: u64) -> Option<(u64, bool)> {
        if let Some(first) = target.first_length() {
            let known = self.on_disk(target);
            let heads = || self.observed.head_bytes(self.changes.map, target);
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
        match target.remaining_length(&|device| self.size(device)) {
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

    /// Returns the length that the metadata of a target and the sizes of its lower devices allow. Where these can't be
    /// read, as on a suspended device, it is the length of the live row.
    fn on_disk(&self, target: &dyn Target) -> Option<u64> {
        let (places, heads) = (target.metadata(), self.observed.head_bytes(self.changes.map, target));
        let size_of = |device: &Device| self.size(device);
        let on_disk = OnDisk {
            places: &places,
            heads: &heads,
            length: 0,
            size_of: &size_of,
            live: self.device.is_some(),
        };
        let live = self.device.and_then(|device| device.table.first());
        target
            .length_on_disk(&on_disk)
            .or_else(|| live.filter(|live| live.kind == target.kind()).map(|live| live.length))
    }

    /// Checks the parameters again, now that lengths and numbers are known.
    fn check_fields(&mut self, target: &dyn Target, length: u64) {
        let mut problems = Problems::default();
        target.check(Some(length), &mut problems);
        self.obstacles.extend(problems.into_vec().into_iter().map(Obstacle::Parameter));
    }

    /// Checks that a target does not use the same sectors for two purposes.
    fn check_own_sectors(&mut self, target: &dyn Target, length: u64) {
        let number = |device: &Device| device.number.or_else(|| self.observed.number(device));
        // A mapping that does not exist yet has no number, and is written by its key alone.
        let identity = |device: &Device| {
            Some((number(device), device.key().filter(|_| number(device).is_none()).cloned()))
        };
        let mapping = |device: &Device| {
            let by_key = device.key().and_then(|key| self.changes.map.mappings.get(key));
            by_key.or_else(|| self.below(device).map(|below| below.mapping))
        };
        let ground = Ground { identity: &identity, mapping: &mapping };
        let found = own_sectors::find(target, length, &ground);
        let obstacle = found.map(|OwnSectors { first, second, sectors }| Obstacle::OwnSectors {
            first: first.into(),
            second: second.into(),
            sectors,
        });
        self.obstacles.extend(obstacle);
    }

    /// Checks that the kernel may load a target with the metadata that its devices hold, and can format those that hold
    /// none.
    fn check_metadata(&mut self, target: &dyn Target) {
        for metadata in target.metadata() {
            let head = self.observed.head(self.changes.map, metadata.device, metadata.offset);
            let Some(Head::Bytes(head)) = head else { continue };
            let device = metadata.device;
            let obstacle = match (metadata.look)(head) {
                Found::Fatal => Obstacle::Metadata { device: device.into(), message: metadata.otherwise },
                Found::Blank if self.is_read_only(device) && !self.is_in_use(device) => {
                    Obstacle::LowerUnformatted { device: device.into(), kind: target.kind().into() }
                }
                _ => continue,
            };
            self.obstacles.push(obstacle);
        }
    }

    fn is_in_use(&self, device: &Device) -> bool {
        device.number.is_some_and(|number| self.uses_already(number))
    }

    /// Finds what the metadata on disk contradicts in a table that is to be loaded.
    pub(crate) fn contradictions(&self, rows: &[Row]) -> Vec<Obstacle> {
        let found = rows.iter().filter_map(|row| {
            let metadata = row.target.metadata();
            if metadata.is_empty() {
                return None;
            }
            let heads = self.observed.head_bytes(self.changes.map, row.target.as_ref());
            let live = self.live(row);
            let size_of = |device: &Device| self.size(device);
            let on_disk = OnDisk {
                places: &metadata,
                heads: &heads,
                length: row.length,
                size_of: &size_of,
                live: live.is_some(),
            };
            let foreign = || {
                let used = live.as_ref().map(|live| live.target.metadata()).unwrap_or_default();
                metadata.iter().zip(&heads).find_map(|(one, head)| {
                    let in_use = used.iter().any(|used| used.is_at(one));
                    let is_other = (one.look)(head.as_deref()?) == Found::Other;
                    (is_other && !in_use).then(|| Contradiction::foreign(one, row.target.kind()))
                })
            };
            row.target.contradiction(&on_disk).or_else(foreign)
        });
        found.map(Obstacle::Contradiction).collect()
    }

    /// Returns the difference that a lower device makes which has grown, or grows, and which a live table that stays the
    /// same would not use.
    pub(crate) fn outgrown(&self, rows: &[Row]) -> Option<TableDiff> {
        let by_metadata = |row: &Row| {
            let heads = self.observed.head_bytes(self.changes.map, row.target.as_ref());
            let size_of = |device: &Device| self.size(device);
            let places = row.target.metadata();
            let on_disk =
                OnDisk { places: &places, heads: &heads, length: row.length, size_of: &size_of, live: true };
            let (device, used) = row.target.outgrown(&on_disk)?;
            Some(Difference::LowerGrew { device: device.into(), used, size: self.size(device)? })
        };
        let grows = |row: &Row| {
            let taking = row.target.lower_devices(row.length).into_iter().find_map(|lower| {
                let takes = lower.length.is_none() && lower.size.is_used();
                let below = self.below(lower.device).filter(|_| takes)?;
                let used = table::sectors(&below.device()?.table);
                let size = below.size.filter(|size| *size > used)?;
                Some(Difference::LowerGrew { device: lower.device.into(), used, size })
            });
            taking.or_else(|| by_metadata(row))
        };
        let takes =
            |row: &&Row| row.target.lower_devices(row.length).iter().any(|lower| lower.size.is_used());
        let differences: Vec<Difference> = rows.iter().filter(takes).filter_map(grows).collect();
        let map = SectorMap::of(rows, rows);
        (!differences.is_empty()).then_some(TableDiff { map, differences, remaps: false })
    }

    /// Returns the live row of the type and start of `row`.
    fn live(&self, row: &Row) -> Option<Row> {
        let live = self.device?.table.iter().find(|live| live.start == row.start)?;
        let live = diff::understand(std::slice::from_ref(live)).ok()?.pop()?;
        (live.target.kind() == row.target.kind()).then_some(live)
    }

    fn resolve(&mut self, device: &mut Device) {
        if device.key().is_some() {
            let below = self.below(device);
            device.number = below.and_then(Change::lasting_number);
            self.blocked |= below.is_some_and(Change::is_blocked);
            return;
        }
        let Some(leads_to) = self.observed.number(device) else {
            self.obstacles.push(Obstacle::LowerMissing {
                device: (&*device).into(),
                absence: self.observed.absence(device),
                wait: self.mapping.wait,
            });
            return;
        };
        let moved =
            || Obstacle::LinkMoved { device: (&*device).into(), leads_to: self.observed.called(leads_to) };
        let number = match self.observed.meaning(self.mapping, device) {
            None => leads_to,
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
        if let Some(below) = self.below(device) {
            self.resolve_mapping(device, number, below);
        } else if let Some(name) = self.changes.pruned(number).filter(|_| !self.uses_already(number)) {
            self.obstacles.push(Obstacle::LowerPruned { device: (&*device).into(), name: name.clone() });
        }
    }

    /// Resolves a device that is a mapping of this map, and is not written as `@key`.
    fn resolve_mapping(&mut self, device: &mut Device, number: DevNum, below: &Change<'_>) {
        let lower = below.mapping;
        if lower.state == State::Absent {
            if !self.uses_already(number) {
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

    /// Whether the live device uses this lower device already. The removal of that one is then refused as in use.
    fn uses_already(&self, number: DevNum) -> bool {
        self.device.is_some_and(|device| diff::lower_devices(&device.table).contains(&number))
    }

    /// Checks that a lower device could be seen, which is not a mapping of this map.
    fn check_seen(&mut self, device: &Device) {
        let unseen = device.number.and_then(|number| self.observed.unseen(number));
        if let Some(unseen) = unseen.filter(|_| self.below(device).is_none()) {
            let fact = UnseenFact::Lower(device.into(), unseen.clone());
            self.obstacles.push(Obstacle::Unseen(Box::new(fact)));
        }
    }

    fn size_unknown(&mut self, target: &dyn Target, start: u64) {
        if self.blocked {
            return;
        }
        let lowers = target.lower_devices(0);
        let mut below = lowers.iter().filter_map(|lower| self.below(lower.device));
        let unmade = below.find(|below| below.rows.iter().any(|row| row.provisional));
        let lower = unmade.map(|below| below.mapping.key.clone());
        self.obstacles.push(Obstacle::LengthUnknown { kind: target.kind().into(), start, lower });
    }

    /// Returns the mapping of this map that `device` is.
    fn below(&self, device: &Device) -> Option<&'r Change<'a>> {
        let id = self.changes.id_of_lower(self.lowers, device, self.observed);
        id.map(|id| &self.changes.all[id])
    }

    /// Returns the block device with the number of `device`.
    fn block(&self, device: &Device) -> Option<&'r BlockDevice> {
        device.number.and_then(|number| self.observed.block(number))
    }

    /// Returns the size that a lower device will have, in sectors: for a mapping of the map, that of its new table.
    fn size(&self, device: &Device) -> Option<u64> {
        match self.below(device) {
            Some(below) => below.size,
            None => self.block(device).map(|block| block.sectors),
        }
    }

    /// Returns the logical block size that a lower device will have, in sectors.
    fn block_size(&self, device: &Device) -> u64 {
        match self.below(device) {
            Some(below) => below.block,
            None => self.block(device).map_or(1, |block| u64::from(block.logical_block_size) / SECTOR).max(1),
        }
    }

    /// Whether a lower device refuses writes.
    fn is_read_only(&self, device: &Device) -> bool {
        match self.below(device) {
            Some(below) => below.mapping.readonly,
            None => self.block(device).is_some_and(|block| block.read_only),
        }
    }

    /// Whether a lower device was found to be read-only and without metadata, which the access of the mapping can't mend.
    fn is_unformatted(&self, device: &Device) -> bool {
        let is_it = |obstacle: &Obstacle| match obstacle {
            Obstacle::LowerUnformatted { device: found, .. } => *found == device.into(),
            _ => false,
        };
        self.obstacles.iter().any(is_it)
    }

    fn check(&mut self, target: &dyn Target, lower: &DeviceUse<'_>) {
        let (below, before) = (self.below(lower.device), self.obstacles.len());
        self.check_seen(lower.device);
        let size = self.size(lower.device);
        if let (Some(size), Some(length)) = (size, lower.length) {
            let end = lower.start.saturating_add(length);
            if end > size {
                self.obstacles.push(Obstacle::LowerTooSmall { device: lower.device.into(), end, size });
            }
        }
        if lower.access.writes() && self.is_read_only(lower.device) {
            // What others share is content, not a copy or metadata of the target's own: a merge writes it in any case.
            if target.writes_unasked() && lower.access == DeviceAccess::Shared {
                self.obstacles.push(Obstacle::LowerMerged(lower.device.into()));
            } else if !self.mapping.readonly && !self.is_unformatted(lower.device) {
                self.obstacles.push(Obstacle::LowerReadOnly(lower.device.into()));
            }
        }
        let is_changed = below.is_some_and(|below| below.drift != Drift::InSync);
        self.caused_by_plan |= is_changed && self.obstacles.len() > before;
    }

    /// Checks that a row uses whole blocks of its lower devices.
    fn check_blocks(&mut self, lowers: &[DeviceUse<'_>], blocks: RowBlocks) {
        for lower in lowers {
            let own = self.block_size(lower.device);
            let unit = RowBlocks::broken_unit(lower, own);
            if let Some(misaligned) = unit.or_else(|| blocks.misaligned(lower, own, self.size(lower.device)))
            {
                self.caused_by_plan |= self.below(lower.device).is_some_and(|below| below.shifts);
                self.obstacles.push(Obstacle::Misaligned { device: lower.device.into(), misaligned });
            }
        }
    }
}
