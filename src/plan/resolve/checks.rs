//! Checks a row that is resolved against its lower devices.
//!
//! The kernel checks little of this, and late: the size of a lower device only when a table is made live, a shrunken
//! lower mapping not at all, blocks larger than a sector not before the load.

use super::Resolver;
use crate::block_size::RowBlocks;
use crate::config::own_sectors::{self, Ground, OwnSectors};
use crate::device::Device;
use crate::observed::Head;
use crate::plan::change::Drift;
use crate::plan::conflict::Obstacle;
use crate::plan::unseen_fact::UnseenFact;
use crate::targets::{DeviceAccess, DeviceUse, Found, MessageText, Metadata, Problems, Target};

impl Resolver<'_, '_> {
    /// Checks the parameters again, now that lengths and numbers are known.
    pub(super) fn check_fields(&mut self, target: &dyn Target, length: u64) {
        let mut problems = Problems::default();
        target.check(Some(length), &mut problems);
        self.obstacles.extend(problems.into_vec().into_iter().map(Obstacle::Parameter));
    }

    /// Checks that the kernel takes the messages that follow a load.
    pub(super) fn check_messages(&mut self, target: &dyn Target, messages: &[MessageText]) {
        let mut problems = Problems::default();
        for (index, message) in messages.iter().enumerate() {
            if let Some(why) = target.refuses_message(message.reveal()) {
                problems.at(format!("messages[{index}]"), why).help(
                    "leave it out, and write the key that the device should have as `key`; a key is wiped by hand, with \
                     `dmctl suspend` and `dmctl message`",
                );
            }
        }
        self.obstacles.extend(problems.into_vec().into_iter().map(Obstacle::Parameter));
    }

    /// Checks that a target does not use the same sectors for two purposes.
    pub(super) fn check_own_sectors(&mut self, target: &dyn Target, start: u64, length: u64) {
        let number = |device: &Device| device.number.or_else(|| self.lowers.observed.number(device));
        // A mapping that does not exist yet has no number, and is written by its key alone.
        let identity = |device: &Device| {
            Some((number(device), device.key().filter(|_| number(device).is_none()).cloned()))
        };
        let mapping = |device: &Device| {
            let by_key = device.key().and_then(|key| self.lowers.changes.map.mappings.get(key));
            by_key.or_else(|| self.lowers.change(device).map(|below| below.mapping))
        };
        let ground = Ground { identity: &identity, mapping: &mapping };
        let found = own_sectors::find(target, (start, length), &ground);
        let obstacle = found.map(|OwnSectors { first, second, sectors }| Obstacle::OwnSectors {
            first: first.into(),
            second: second.into(),
            sectors,
        });
        self.obstacles.extend(obstacle);
    }

    /// Checks that the kernel may load a target with the metadata that its devices hold, and can format those that hold
    /// none.
    pub(super) fn check_metadata(&mut self, target: &dyn Target) {
        for metadata in target.metadata() {
            let head = self.lowers.observed.head(self.lowers.changes.map, metadata.device, metadata.offset);
            let Some(Head::Bytes(head)) = head else { continue };
            let device = metadata.device;
            let obstacle = match (metadata.look)(head) {
                Found::Fatal if !self.has_metadata_at(target, &metadata) => {
                    Obstacle::Metadata { device: device.into(), message: metadata.otherwise }
                }
                Found::Blank
                    if self.lowers.lower(device).is_read_only() && !self.lowers.is_in_use(device) =>
                {
                    Obstacle::LowerUnformatted { device: device.into(), kind: target.kind().into() }
                }
                Found::Blank if target.keeps_metadata() && !self.has_metadata_at(target, &metadata) => {
                    Obstacle::NeverFormatted { device: device.into(), kind: target.kind().into() }
                }
                _ => continue,
            };
            self.obstacles.push(obstacle);
        }
    }

    /// Whether the live table has the metadata of this type there. The kernel puts it in order before another table takes over.
    fn has_metadata_at(&self, target: &dyn Target, place: &Metadata<'_>) -> bool {
        let Some(device) = self.lowers.device else { return false };
        let (rows, kind) = (device.table.readable(), target.kind());
        let mut metadata =
            rows.iter().filter(|row| row.target.kind() == kind).flat_map(|row| row.target.metadata());
        metadata.any(|used| used.is_at(place))
    }

    /// Whether a lower device was found to be read-only and without metadata, which the access of the mapping can't mend.
    fn is_unformatted(&self, device: &Device) -> bool {
        let is_it = |obstacle: &Obstacle| match obstacle {
            Obstacle::LowerUnformatted { device: found, .. } => *found == device.into(),
            _ => false,
        };
        self.obstacles.iter().any(is_it)
    }

    /// Checks that a lower device could be seen, which is not a mapping of this map.
    pub(super) fn check_seen(&mut self, device: &Device) {
        let unseen = device.number.and_then(|number| self.lowers.observed.unseen(number));
        if let Some(unseen) = unseen.filter(|_| self.lowers.change(device).is_none()) {
            let fact = UnseenFact::Lower(device.into(), unseen.clone());
            self.obstacles.push(Obstacle::Unseen(Box::new(fact)));
        }
    }

    pub(super) fn check(&mut self, target: &dyn Target, lower: &DeviceUse<'_>) {
        let (below, before) = (self.lowers.lower(lower.device), self.obstacles.len());
        self.check_seen(lower.device);
        if let (Some(size), Some(length)) = (below.size(), lower.length) {
            let end = lower.start.saturating_add(length);
            if end > size {
                self.obstacles.push(Obstacle::LowerTooSmall { device: lower.device.into(), end, size });
            }
        }
        if let Some(length) = lower.length
            && let Some((key, size)) = below.cut()
            && lower.start.saturating_add(length) > size
        {
            let end = lower.start.saturating_add(length);
            self.obstacles.push(Obstacle::LowerCut { device: lower.device.into(), key, end, size });
            self.caused_by_plan = true;
        }
        if lower.access.writes() && below.is_read_only() {
            // What others share is content, not a copy or metadata of the target's own: a merge writes it in any case.
            if target.writes_unasked() && lower.access == DeviceAccess::Shared {
                self.obstacles.push(Obstacle::LowerMerged(lower.device.into()));
            } else if !self.mapping.readonly && !self.is_unformatted(lower.device) {
                self.obstacles.push(Obstacle::LowerReadOnly(lower.device.into()));
            }
        }
        let is_changed = below.change.is_some_and(|below| below.drift != Drift::InSync);
        self.caused_by_plan |= is_changed && self.obstacles.len() > before;
    }

    /// Checks that a row of `length` sectors uses whole blocks of its lower devices, and returns the blocks of the row.
    pub(super) fn check_blocks(&mut self, target: &dyn Target, length: u64) -> RowBlocks {
        let lowers = target.lower_devices(length);
        let blocks = RowBlocks::of(target, &lowers, |device| self.lowers.lower(device).block_size());
        for lower in &lowers {
            let below = self.lowers.lower(lower.device);
            let own = below.block_size();
            let unit = RowBlocks::broken_unit(lower, own);
            if let Some(misaligned) = unit.or_else(|| blocks.misaligned(lower, own, below.size())) {
                self.caused_by_plan |= below.change.is_some_and(|below| below.shifts);
                self.obstacles.push(Obstacle::Misaligned { device: lower.device.into(), misaligned });
            }
        }
        blocks
    }
}
