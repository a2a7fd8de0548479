//! The contract of a target.
//!
//! A target implements two traits. [`Target`] is what the rest of dmctl works with, as `dyn Target`: lower
//! devices, checks, lengths, metadata, hazards. [`TargetKind`] adds what names the type itself: its name, its
//! manual, reading a row, printing one, comparing two. [`ErasedTarget`] is what `dyn Target` needs of the
//! latter without the type in its signatures; it is implemented once for all.

use std::any::Any;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::{Copy, Damage, FreshRow, LiveRow, Remedy, State, Unfinished, Wordless};
use super::{
    Below, Contradiction, DeviceUses, Differences, Doc, Effect, Handover, Hazards, KeptTags, Metadata, Need,
    NeededBelow, NeededQueue, OnDisk, Order, OriginUse, ParamsError, Prepare, Printer, Problems,
    RemainingLength, Repair, SizeOf, Style, Traits, VolumeList, Words, redact_unknown,
};
use crate::device::Device;
use crate::keys::{KeySlot, Keyring};
use crate::units::Sectors;

/// A target of any type: what the rest of dmctl works with.
pub trait Target: ErasedTarget + Any + Send + Sync {
    /// Lists the lower devices of a row of `length` sectors, and the part of each that it uses.
    fn lower_devices(&self, length: u64) -> DeviceUses<'_>;

    /// Returns the logical block size that the target gives its device (its `io_hints`), in sectors. `lower` is the largest
    /// of those lower devices whose blocks [count](super::Blocks::Stacked).
    fn logical_block(&self, lower: u64) -> u64 {
        lower
    }

    /// Lists every device in the fields, to be resolved.
    fn devices_mut(&mut self) -> Vec<&mut Device>;

    /// Lists every key in the fields, to be read where the map names a file or a credential.
    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        Vec::new()
    }

    /// Lists the keys that the kernel looks up in its keyrings when the table is loaded.
    fn keyring_keys(&self) -> Vec<&Keyring> {
        Vec::new()
    }

    /// Fills in the fields that a map may leave out because they follow from the length of the row, in
    /// sectors. Called once that length is known, before the row is printed or compared.
    fn fill_defaults(&mut self, length: u64) {
        let _ = length;
    }

    /// Checks what the kernel would refuse or, worse, accept: ranges, powers of two, alignment, counts,
    /// exclusions. `length` is the length of the row in sectors, where it is known.
    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        let _ = (length, problems);
    }

    /// Lists what dmctl can't judge, and the kernel may take: each is a warning about the map.
    fn doubts(&self, doubts: &mut Problems) {
        let _ = doubts;
    }

    /// Adds the difference that another length makes: another table, unless the target keeps its size on
    /// disk. Both are lengths of the row, in sectors. Sectors that are cut off or moved are found by the
    /// sector map.
    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        differences.field("length", &Sectors(length), &Sectors(live_length), Effect::Tune);
    }

    /// Returns a device and an offset when every sector `n` of the row is sector `offset + n` of that device.
    /// The sector map of a plan is made of these.
    fn linear_map(&self) -> Option<(&Device, u64)> {
        None
    }

    /// Returns a device and an offset when, as long as its [metadata](Target::metadata) is blank, every sector `n` of the row is
    /// read from sector `offset + n` of that device. So where it takes the place of that device, nothing moves.
    fn fresh_map(&self) -> Option<(&Device, u64)> {
        self.linear_map()
    }

    /// Returns where sector `sector` of the row is read from.
    fn below(&self, sector: u64) -> Below<'_> {
        match self.linear_map().and_then(|(device, offset)| Some((device, offset.checked_add(sector)?))) {
            Some((device, sector)) => Below::straight(device, sector),
            None => Below::Unknown,
        }
    }

    /// Computes the length of a row that goes up to the end of its device, when the map leaves `length` out.
    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let lower_devices = self.lower_devices(0);
        let [only] = lower_devices.as_slice() else { return RemainingLength::NotApplicable };
        RemainingLength::from_sector(only.device, only.start, size_of)
    }

    /// Returns the length of a first load, in sectors, for a target that decides its length by itself once
    /// it has written its metadata: the smallest that it takes. A length that the map leaves out is then the
    /// one of [`length_on_disk`](Target::length_on_disk). `None` for all others.
    fn first_length(&self) -> Option<u64> {
        None
    }

    /// Whether a first load writes no metadata: without any on disk, nothing tells the length then.
    fn leaves_blank(&self) -> bool {
        false
    }

    /// Returns the length that the metadata and the sizes of the lower devices allow, in sectors, whatever the length of
    /// the row is. `None` where there is no metadata, and where a size is not known.
    fn length_on_disk(&self, on_disk: &OnDisk<'_>) -> Option<u64> {
        let _ = on_disk;
        None
    }

    /// Whether it leaves its metadata as it is: the kernel then refuses a device without any, and each message that would make
    /// a volume.
    fn keeps_metadata(&self) -> bool {
        false
    }

    /// Lists the metadata that the kernel writes where it finds none.
    fn metadata(&self) -> Vec<Metadata<'_>> {
        Vec::new()
    }

    /// Returns what the metadata on disk and this row contradict each other in, so that the kernel refuses or ignores
    /// the row. Metadata that can't be read contradicts nothing.
    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        let _ = on_disk;
        None
    }

    /// Returns the lower device that has grown beyond what the metadata on disk counts of it, with the sectors that are
    /// counted: a live table does not use the rest.
    fn outgrown(&self, on_disk: &OnDisk<'_>) -> Option<(&Device, u64)> {
        let _ = on_disk;
        None
    }

    /// Lists what it has in use of its lower devices beside the sectors that its rows are on, as its metadata on disk and its
    /// state tell: a device that is shorter loses some of it. `state` is that of a live row on the same devices.
    fn needs(&self, on_disk: &OnDisk<'_>, state: Option<&dyn State>) -> Vec<Need<'_>> {
        let _ = (on_disk, state);
        Vec::new()
    }

    /// Whether its state alone tells what it [needs](Self::needs).
    fn state_tells_needs(&self) -> bool {
        false
    }

    /// Reads the state that the kernel prints of a live row with this target: its own words, up to those that a newer
    /// kernel adds at the end. Called for targets whose traits tell of a state; for the others with no words.
    fn read_state(&self, words: &mut Words<'_>, row: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        let _ = (words, row);
        Ok(Box::new(Wordless {}))
    }

    /// Returns what the kernel prints of a live row with this target that was just made. For the simulated kernel.
    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        let _ = row;
        String::new()
    }

    /// Whether its state is on disk, so that it outlives a reload and a removal.
    fn keeps_state(&self) -> bool {
        false
    }

    /// Returns what the kernel prints of it once it is loaded over a row that printed `before`, and that has its state on the same
    /// disks. For the simulated kernel.
    fn reloaded_state(&self, before: &str) -> String {
        before.to_string()
    }

    /// Whether the kernel may refuse another table of it because of its [damage](State::damage).
    fn may_need_repair(&self) -> bool {
        false
    }

    /// Returns what must be repaired before the kernel takes another table of a live row with this damage. `grows`: it is for
    /// more sectors, or for more that its metadata must hold.
    fn repair(&self, damage: Damage, grows: bool) -> Option<Repair> {
        let _ = (damage, grows);
        None
    }

    /// Returns the order of it that the live device has not carried out, as its state shows.
    fn order_due(&self, state: &dyn State) -> Option<Order> {
        let _ = state;
        None
    }

    /// Returns this without an order that is due; `None` for a target without orders.
    fn without_order(&self, order: &Order) -> Option<Box<dyn Target>> {
        let _ = order;
        None
    }

    /// Returns what of it may be left, so that a table without it would lose something.
    fn unfinished(&self) -> Option<Unfinished> {
        None
    }

    /// Lists the devices that have all sectors of a row with it once nothing is left. The first is the one that a target of
    /// the same type begins with.
    fn copies(&self, state: Option<&dyn State>) -> Vec<Copy<'_>> {
        let _ = state;
        Vec::new()
    }

    /// Returns what to do so that nothing is left.
    fn remedy(&self, state: Option<&dyn State>) -> Remedy {
        let _ = state;
        Remedy::Wait
    }

    /// Lists the devices that keep what is left of it once its device is removed: a table with them has it all again.
    fn keepers(&self) -> Vec<&Device> {
        Vec::new()
    }

    /// Returns what of a row of `length` sectors with this target the kernel refuses as long as something is
    /// [left](State::left) of the row `live` that it takes the place of, and that has the same metadata.
    fn refused_unfinished(&self, length: u64, live: &dyn Target, live_length: u64) -> Option<&'static str> {
        let _ = (length, live, live_length);
        None
    }

    /// Returns the device whose blocks it hands over or takes over.
    fn handover(&self) -> Option<Handover<'_>> {
        None
    }

    /// Returns the lower device that the kernel takes only with a target of some type on it, and that type.
    fn needs_below(&self) -> Option<NeededBelow<'_>> {
        None
    }

    /// Returns what the kernel wants of the queues of some lower devices, and those devices.
    fn needs_queue(&self) -> Option<NeededQueue<'_>> {
        None
    }

    /// Whether its device takes requests, and not bios (`dm_table_determine_type` in `drivers/md/dm-table.c`).
    fn takes_requests(&self) -> bool {
        false
    }

    /// Returns the tags that its device keeps for a device above.
    fn kept_tags(&self) -> Option<KeptTags> {
        None
    }

    /// Returns the part that it has in the snapshots of a device.
    fn origin_use(&self) -> Option<OriginUse<'_>> {
        None
    }

    /// Returns what would be lost with this live target, or with its table.
    fn hazards(&self) -> Hazards {
        Hazards::default()
    }

    /// Returns what can't be read any more once this target takes the place of `live`, a clause for the user: with a
    /// key that is drawn at random nothing can be read that was written before. `None` for `live` is a device that is
    /// recreated.
    fn unreadable_after(&self, live: Option<&dyn Target>) -> Option<&'static str> {
        let _ = live;
        None
    }

    /// Returns the device whose content is written over without a look at it, and the first byte that is.
    fn overwrites(&self) -> Option<(&Device, u64)> {
        None
    }

    /// Whether its lower devices are ways to the same sectors: it may be given one device more than once.
    fn has_ways(&self) -> bool {
        false
    }

    /// Returns a message to a lower device without which the kernel refuses the table when it is loaded for
    /// the first time: the volume of a thin pool is made by the pool. That it exists already is not a failure.
    fn prepare(&self) -> Option<Prepare<'_>> {
        None
    }

    /// Whether it writes to its lower devices by itself, also below a mapping that refuses writes: it copies, journals,
    /// keeps metadata or merges. The kernel lets it (`submit_bio` does not look at how a device was opened).
    fn writes_unasked(&self) -> bool {
        false
    }

    /// Whether it copies from one lower device to another, or computes parity or checksums of what they hold, as soon as it is
    /// live and without any I/O to it: a write to one of them that goes past it is missing in the copy.
    fn copies_unasked(&self) -> bool {
        false
    }

    /// Whether the table of a live target shows that this message was carried out, so that comparing the tables compares
    /// it. What other messages did can't be told from the table.
    fn shows_message(&self, message: &str) -> bool {
        let _ = message;
        false
    }

    /// Returns why the kernel refuses this message to an active device, as those of a map are sent.
    fn refuses_message(&self, message: &str) -> Option<&'static str> {
        let _ = message;
        None
    }

    /// Returns a message to it with each word replaced that is a key, or may be one: those are shown nowhere, and make
    /// the map one that holds a key.
    fn redact_message(&self, message: &str) -> String {
        redact_unknown(message)
    }

    /// Returns the lower device that this is one of many volumes of, and its id there.
    fn volume(&self) -> Option<(&Device, u32)> {
        None
    }

    /// Returns where the list of its [volumes](Self::volume) is; `None` for a target without volumes.
    fn volume_list(&self) -> Option<VolumeList<'_>> {
        None
    }
}

/// A target type: its fields, and what they mean.
///
/// `PartialEq` is how two values are told apart in tests; what a difference means for a running device
/// is decided by [`compare`](TargetKind::compare).
pub trait TargetKind: Target + Clone + PartialEq + Serialize + DeserializeOwned + JsonSchema {
    /// The name in a table and in `type = `.
    const NAME: &'static str;
    /// How the kernel treats tables with this target.
    const TRAITS: Traits = Traits::PLAIN;
    /// The module that has it; `None` for the one that the kernel asks for, `dm-` and the name.
    const MODULE: Option<&'static str> = None;
    /// What the manual says.
    const DOC: Doc;

    /// Reads the parameters: those that a user loads and those that any supported kernel prints.
    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError>;

    /// Prints the parameters in the kernel's order; counts of optional words are computed here.
    fn print(&self, out: &mut Printer);

    /// Adds each difference between this target, wanted, and `live`. Fields that are live state, or orders
    /// carried out once, are never compared.
    fn compare(&self, live: &Self, differences: &mut Differences);

    /// Compares like [`compare`](TargetKind::compare) with a live device that is suspended: a few targets
    /// print less of themselves then.
    fn compare_suspended(&self, live: &Self, differences: &mut Differences) {
        TargetKind::compare(self, live, differences);
    }

    /// Returns what to write to a map to have a live target again. The same, but for those that print something
    /// else than they were given, or orders that they have carried out and that no later load needs.
    fn for_export(&self) -> Self {
        self.clone()
    }

    /// Returns what to load to put a live target back: without any order that it has carried out.
    fn for_rollback(&self) -> Self {
        TargetKind::for_export(self)
    }

    /// Returns what to load over `live` to have this: without orders that `live` has carried out already, as its table and its
    /// state tell; `state` is `None` where it can't be told.
    fn for_reload(&self, live: &Self, state: Option<&dyn State>) -> Self {
        let _ = (live, state);
        self.clone()
    }

    /// Replaces every key in the parameters. It works on the words alone: a row that does not parse must
    /// not give its key away.
    fn redact(params: &str) -> String {
        params.to_string()
    }
}

impl dyn Target {
    /// Returns how far behind the places that the target tells for a row those of its sectors are, where the row begins at
    /// sector `start` of its device: a target that [counts from the device](Traits::counts_from_device) does not subtract it.
    pub fn sectors_before(&self, start: u64) -> u64 {
        if self.traits().counts_from_device { start } else { 0 }
    }

    /// Lists the lower devices of a row of `length` sectors that begins at sector `start` of its device, and the part of each
    /// that its sectors are in. [`lower_devices`](Target::lower_devices) tells the part that the kernel checks at load
    /// (`iterate_devices`), which begins at 0 for a target that counts from the device.
    pub fn lower_sectors(&self, start: u64, length: u64) -> DeviceUses<'_> {
        let before = self.sectors_before(start);
        let mut lowers = self.lower_devices(length);
        for lower in lowers.iter_mut().filter(|lower| lower.length.is_some()) {
            lower.start = lower.start.saturating_add(before);
        }
        lowers
    }

    /// Computes the length of a row that begins at sector `start` of its device and goes up to the end of the device below.
    pub fn remaining_from(&self, start: u64, size_of: SizeOf<'_>) -> RemainingLength {
        let (before, remaining) = (self.sectors_before(start), self.remaining_length(size_of));
        let counted = self.lower_devices(0).into_iter().find(|lower| lower.length.is_some());
        match (remaining, counted) {
            (RemainingLength::Sectors(_), Some(lower)) if before > 0 => {
                RemainingLength::from_sector(lower.device, lower.start.saturating_add(before), size_of)
            }
            (remaining, _) => remaining,
        }
    }
}

/// The part of a target whose signatures would name its own type, for callers that do not know that type.
/// Implemented once for every target type.
pub trait ErasedTarget {
    /// Returns the name of the type.
    fn kind(&self) -> &str;
    /// Returns how the kernel treats tables with it.
    fn traits(&self) -> Traits;
    /// Prints the parameters in `style`.
    fn params(&self, style: Style) -> String;
    /// See [`TargetKind::compare`]. `None` when the two are of different types.
    fn compare(&self, live: &dyn Target) -> Option<Differences>;
    /// See [`TargetKind::compare_suspended`]. `None` when the two are of different types.
    fn compare_suspended(&self, live: &dyn Target) -> Option<Differences>;
    fn for_export(&self) -> Box<dyn Target>;
    /// See [`TargetKind::for_rollback`].
    fn for_rollback(&self) -> Box<dyn Target>;
    /// See [`TargetKind::for_reload`]. A copy when the two are of different types.
    fn for_reload(&self, live: &dyn Target, state: Option<&dyn State>) -> Box<dyn Target>;
    /// Returns the fields as a map file writes them.
    fn fields(&self) -> toml::Table;
    fn boxed(&self) -> Box<dyn Target>;
}

impl<T: TargetKind> ErasedTarget for T {
    fn kind(&self) -> &str {
        T::NAME
    }

    fn traits(&self) -> Traits {
        T::TRAITS
    }

    fn params(&self, style: Style) -> String {
        let mut out = Printer::new(style);
        self.print(&mut out);
        out.finish()
    }

    fn compare(&self, live: &dyn Target) -> Option<Differences> {
        let mut differences = Differences::default();
        TargetKind::compare(self, of_type(live)?, &mut differences);
        Some(differences)
    }

    fn compare_suspended(&self, live: &dyn Target) -> Option<Differences> {
        let mut differences = Differences::default();
        TargetKind::compare_suspended(self, of_type(live)?, &mut differences);
        Some(differences)
    }

    fn for_export(&self) -> Box<dyn Target> {
        Box::new(TargetKind::for_export(self))
    }

    fn for_rollback(&self) -> Box<dyn Target> {
        Box::new(TargetKind::for_rollback(self))
    }

    fn for_reload(&self, live: &dyn Target, state: Option<&dyn State>) -> Box<dyn Target> {
        match of_type(live) {
            Some(live) => Box::new(TargetKind::for_reload(self, live, state)),
            None => self.boxed(),
        }
    }

    fn fields(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }

    fn boxed(&self) -> Box<dyn Target> {
        Box::new(self.clone())
    }
}

/// Returns the target behind `dyn Target` when it is a `T`.
pub(crate) fn of_type<T: TargetKind>(target: &dyn Target) -> Option<&T> {
    (target as &dyn Any).downcast_ref()
}

impl Clone for Box<dyn Target> {
    fn clone(&self) -> Self {
        self.as_ref().boxed()
    }
}
