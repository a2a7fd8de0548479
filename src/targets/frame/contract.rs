//! What a target type must say about itself.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Differences, Effect, ParamsError, Printer, Problems, Words};
use crate::device::Device;
use crate::keys::KeySlot;
use crate::units::Sectors;

/// A target type: its fields, and what they mean.
///
/// `PartialEq` is how two values are told apart in tests; what a difference means for a running device
/// is said by [`compare`](TargetKind::compare).
pub trait TargetKind:
    Clone + PartialEq + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static
{
    /// The name in a table and in `type = `.
    const NAME: &'static str;
    /// How the kernel treats tables with this target.
    const TRAITS: Traits = Traits::PLAIN;
    /// What the manual says.
    const DOC: Doc;

    /// Reads the parameters: what a person loads and what any supported kernel prints.
    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError>;

    /// Prints the parameters in the kernel's order; counts of optional words are computed here.
    fn print(&self, out: &mut Printer);

    /// The lower devices of a row of `length` sectors, and the part of each that it uses.
    fn lower_devices(&self, length: u64) -> Vec<Lower<'_>>;

    /// Every device in the fields, to be resolved.
    fn devices_mut(&mut self) -> Vec<&mut Device>;

    /// Every key in the fields, to be read where the map names a file or a credential.
    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        Vec::new()
    }

    /// Fills in what a map may leave out because it follows from the length of the row. Called once that
    /// length is known, before the row is printed or compared.
    fn settle(&mut self, length: u64) {
        let _ = length;
    }

    /// Checks what the kernel would refuse or, worse, accept: ranges, powers of two, alignment, counts,
    /// exclusions. `length` is the length of the row where it is known.
    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        let _ = (length, problems);
    }

    /// Says how this target, wanted, differs from `live`. Fields that are live state, or orders carried out
    /// once, are never compared.
    fn compare(&self, live: &Self, differences: &mut Differences);

    /// Like [`compare`](TargetKind::compare), with a live device that is suspended: a few targets print less
    /// of themselves then.
    fn compare_suspended(&self, live: &Self, differences: &mut Differences) {
        self.compare(live, differences);
    }

    /// Says what another length takes: another table, unless the target keeps its size on disk. Both are
    /// lengths of the row, in sectors. What is cut off or moved is told by the sector map.
    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        differences.field("length", &Sectors(length), &Sectors(live_length), Effect::Tune);
    }

    /// When every sector `n` of the row is sector `offset + n` of one device: that device and offset. The
    /// sector map of a plan is made of these.
    fn straight(&self) -> Option<(&Device, u64)> {
        None
    }

    /// The length of a row that goes up to the end of its device, when the map leaves `length` out. None
    /// where a length must be given. `size_of` is none for a device that is not known yet.
    fn rest(&self, size_of: &dyn Fn(&Device) -> Option<u64>) -> Option<Result<u64, String>> {
        let lowers = self.lower_devices(0);
        let [only] = lowers.as_slice() else { return None };
        rest_of(only.device, only.start, size_of)
    }

    /// The length of a first load, for a target that decides by itself how long it may be, once it has
    /// written its metadata: the smallest that it takes. A length that the map leaves out is then that which
    /// [`length_on_disk`](TargetKind::length_on_disk) tells. None for all others.
    fn first_length(&self) -> Option<u64> {
        None
    }

    /// The length that the metadata tells, in sectors; `head` is what the first of
    /// [`metadata`](TargetKind::metadata) wants to be looked at. None where it tells none.
    fn length_on_disk(&self, head: &[u8]) -> Option<u64> {
        let _ = head;
        None
    }

    /// Metadata that the kernel writes when it finds none.
    fn metadata(&self) -> Vec<Metadata<'_>> {
        Vec::new()
    }

    /// The device whose blocks it hands over or takes over.
    fn handover(&self) -> Option<Handover<'_>> {
        None
    }

    /// What would be lost if this target went away now, as a sentence.
    fn loses(&self) -> Option<&'static str> {
        None
    }

    /// What would be lost if another table of the same type took the place of this one, as a sentence: some
    /// targets keep nothing on disk.
    fn forgets(&self) -> Option<&'static str> {
        None
    }

    /// What a table does not show of it, because it was told by messages, as a sentence.
    fn unshown(&self) -> Option<&'static str> {
        None
    }

    /// A message to a lower device without which the kernel refuses the table when it is loaded for the
    /// first time: the volume of a thin pool is made by the pool. That it exists already is no failure.
    fn prepare(&self) -> Option<Prepare<'_>> {
        None
    }

    /// The lower device that this is one of many volumes of, and its id there.
    fn volume(&self) -> Option<(&Device, u32)> {
        None
    }

    /// What to load, or to write to a map, to have a live target again. The same, but for those that print
    /// something else than they were given, or orders that they have carried out.
    #[must_use]
    fn again(&self) -> Self {
        self.clone()
    }

    /// What to load over `live` to have this: without orders that `live` has carried out already.
    #[must_use]
    fn over(&self, live: &Self) -> Self {
        let _ = live;
        self.clone()
    }

    /// The parameters with every key replaced. It works on the words alone: a row that does not parse must
    /// not give its key away.
    #[must_use]
    fn redact(params: &str) -> String {
        params.to_string()
    }
}

/// What is left of `device` from sector `start` on: none when its size is not known, an error when nothing is.
pub fn rest_of(
    device: &Device,
    start: u64,
    size_of: &dyn Fn(&Device) -> Option<u64>,
) -> Option<Result<u64, String>> {
    let size = size_of(device)?;
    Some(
        size.checked_sub(start).filter(|rest| *rest > 0).ok_or_else(|| {
            format!("{device} has {size} sectors, nothing is left of it from sector {start} on")
        }),
    )
}

/// How the kernel treats tables with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// It must be the only target of its table (`DM_TARGET_SINGLETON`).
    pub singleton: bool,
    /// A live table of this type can only be replaced by the same type (`DM_TARGET_IMMUTABLE`).
    pub immutable: bool,
    /// It reads at load what the live table writes at suspend: suspend, then load, then resume.
    pub suspend_before_load: bool,
    /// Whether the table must, or must not, be loaded read-only.
    pub mode: Mode,
    /// Its parameters may hold a key: loads and reads ask the kernel to wipe its buffers.
    pub secret: bool,
    /// The kernel can make it by itself before anything else runs (`dm_allowed_targets` in
    /// `drivers/md/dm-init.c`).
    pub early: bool,
}

/// Whether a table may be read-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As the mapping says.
    Any,
    /// Always read-only (verity).
    ReadOnly,
    /// Never read-only (thin-pool).
    Writable,
}

impl Traits {
    /// Nothing special.
    pub const PLAIN: Self = Self {
        singleton: false,
        immutable: false,
        suspend_before_load: false,
        mode: Mode::Any,
        secret: false,
        early: false,
    };

    /// Nothing special, but for being there before anything else runs.
    pub const EARLY: Self = Self { early: true, ..Self::PLAIN };
}

/// A part of a lower device that a row uses.
#[derive(Debug, Clone, Copy)]
pub struct Lower<'a> {
    /// The device.
    pub device: &'a Device,
    /// The first sector used.
    pub start: u64,
    /// How many sectors are used; none when the target decides that by itself: all of the device.
    pub length: Option<u64>,
    /// Whether the target writes there.
    pub access: DeviceAccess,
}

/// What a target does to a lower device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAccess {
    /// It only reads.
    Read,
    /// It writes, and no other mapping may.
    Write,
    /// It writes, and shares the device with others of its kind by design (thin volumes and their pool, a
    /// snapshot and its origin).
    Shared,
}

impl<'a> Lower<'a> {
    /// `length` sectors from `start` on, written to.
    #[must_use]
    pub fn write(device: &'a Device, start: u64, length: u64) -> Self {
        Self { device, start, length: Some(length), access: DeviceAccess::Write }
    }

    /// The whole device.
    #[must_use]
    pub fn whole(device: &'a Device, access: DeviceAccess) -> Self {
        Self { device, start: 0, length: None, access }
    }
}

/// A message that a lower device must have been sent before a table is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// Who it is sent to.
    pub device: &'a Device,
    /// What it says.
    pub message: String,
    /// The [volume](TargetKind::volume) of that device that is copied: while it is in use it must be suspended,
    /// for the kernel does not do that itself.
    pub copies: Option<u32>,
}

/// A device whose blocks go from one mapping to another while both are there. Who gives must be suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handover<'a> {
    /// It lets another one have them.
    Gives(&'a Device),
    /// It takes them from whoever has them.
    Takes(&'a Device),
}

/// Metadata on a lower device, and how to tell whether it is there.
pub struct Metadata<'a> {
    /// Where it is.
    pub device: &'a Device,
    /// The first byte to look at.
    pub offset: u64,
    /// How many bytes to look at.
    pub length: usize,
    /// Judges these bytes.
    pub look: fn(&[u8]) -> Found,
    /// What the kernel does when there is none, as a sentence.
    pub otherwise: &'static str,
}

/// What was found where metadata should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// What the target wants: nothing will be formatted.
    Right,
    /// Nothing: the kernel will write fresh metadata.
    Blank,
    /// Something else: the kernel will refuse it.
    Other,
    /// Something else, over which the kernel crashes: it must not be asked.
    Fatal,
}

/// What the manual says of a target.
#[derive(Debug, Clone, Copy)]
pub struct Doc {
    /// What it does, in a sentence or two.
    pub summary: &'static str,
    /// The first kernel that has it, as `major.minor`.
    pub since: &'static str,
    /// What is written to disk when its table is loaded.
    pub writes: &'static str,
    /// What a change of a field does to a running device.
    pub changes: &'static str,
    /// A `[[mappings.NAME.targets]]` row, without its header, that is valid as it stands.
    pub example: &'static str,
}
