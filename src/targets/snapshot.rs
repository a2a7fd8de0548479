//! `snapshot`: an origin as it was, with the changes since kept on another device. Kernel source:
//! `drivers/md/dm-snap.c`, `drivers/md/dm-exception-store.c`.

pub(super) mod state;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    Blocks, Contradiction, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, Found, FreshRow,
    Handover, Hazards, LiveRow, Metadata, Need, OnDisk, Options, OriginUse, OwnIo, ParamsError, Printer,
    Problems, RemainingLength, SizeOf, State, Status, Syntax, Target, TargetKind, Traits, Words, begins_with,
    le32, option,
};
use crate::device::Device;
use crate::units::Sectors;

/// `SNAP_MAGIC` of `drivers/md/dm-snap-persistent.c`, the first 4 bytes of the COW device: `SnAp`.
const MAGIC: u32 = 0x7041_6e53;
/// The largest power of two the kernel keeps as a chunk (`INT_MAX >> SECTOR_SHIFT`).
const MAX_CHUNK: u64 = 2_097_152;

/// An origin as it was, with the changes since kept on another device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Snapshot {
    /// The device that the snapshot is of.
    pub origin: Device,
    /// The device that takes what changes (copy on write).
    pub cow: Device,
    /// Keep what changed across a reboot (`P`); false, the default, keeps it in memory and loses it (`N`).
    #[serde(default)]
    pub persistent: bool,
    /// Report an overflow of the COW device apart from other failures (`PO`); only with persistent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overflow: bool,
    /// How much is copied at a time: a power of two. 0, the default, takes what the header on the COW device
    /// says, and is only for a persistent one.
    #[serde(default)]
    pub chunk: Sectors,
    /// Zero chunks that are discarded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discard_zeroes_cow: bool,
    /// Pass discards on to the origin; only with `discard_zeroes_cow`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discard_passdown_origin: bool,
}

impl Snapshot {
    /// What a transient snapshot holds in memory only.
    const TRANSIENT: &'static str =
        "every change in the transient snapshot: where it lies is known in memory only";

    /// What another chunk or another store of changes means.
    const ANEW: &'static str = "the snapshot begins anew, of the origin as it is then";

    fn store(&self) -> &'static str {
        match (self.persistent, self.overflow) {
            (true, false) => "P",
            (true, true) => "PO",
            (false, _) => "N",
        }
    }

    const FEATURES: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a snapshot has no feature {}", ignore_case: true },
        all: &[option!(discard_zeroes_cow).tune(), option!(discard_passdown_origin).tune()],
    };

    /// The header on the COW device wins over the table, and a table that waits for its resume may print 0.
    fn compare_chunk(&self, live: &Self, differences: &mut Differences) {
        let (wanted, printed) = (self.chunk, live.chunk);
        if !self.persistent || !live.persistent {
            differences.field_with_reason("chunk", &wanted, &printed, Effect::Recreate, Self::ANEW);
        } else if wanted.0 != 0 && printed.0 != 0 {
            let why = "the header on the COW device keeps the old one, and the kernel would accept another and \
                       ignore it; take 0 for what the header says, or another COW device";
            differences.field_with_reason("chunk", &wanted, &printed, Effect::Recreate, why);
        }
    }
}

impl TargetKind for Snapshot {
    const NAME: &'static str = "snapshot";
    const TRAITS: Traits = Traits { status: Status::Always, counts_from_device: true, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "An origin as it was when the snapshot was made; it can be written too. What changes, on either \
                  side, is copied to the COW device first. The origin must be written through `snapshot-origin`.",
        since: "2.6",
        writes: "A persistent one: a fresh header at load, when the COW device begins with four zero bytes. \
                 Anything else there that is not a header is refused.",
        changes: "Overflow and the discard flags are a `reload`; with persistent = false any new table loses the \
                  changes (`loss`). Another origin or COW device is other data (`remap`). The chunk of a \
                  persistent one is fixed by the header.",
        example: "type = \"snapshot\"\norigin = \"/dev/disk/by-id/disk-a\"\ncow = \
                  \"/dev/disk/by-id/disk-b\"\npersistent = true\nchunk = \"4KiB\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let (origin, cow) = (words.device("the origin")?, words.device("the COW device")?);
        let (persistent, overflow) = match words.next("`P`, `PO` or `N`")?.to_ascii_uppercase().as_str() {
            "P" => (true, false),
            "PO" => (true, true),
            "N" => (false, false),
            _ => return Err(words.wrong("a snapshot is persistent (`P`, `PO`) or not (`N`)")),
        };
        let chunk = words.sectors("the chunk size")?;
        let mut snapshot = Self { origin, cow, persistent, overflow, chunk, ..Self::default() };
        Self::FEATURES.parse(&mut snapshot, &mut words.counted("features")?)?;
        Ok(snapshot)
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.origin).device(&self.cow).word(self.store()).word(self.chunk);
        out.counted(|out| Self::FEATURES.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("origin", &self.origin, &live.origin, Effect::Remap);
        differences.field("cow", &self.cow, &live.cow, Effect::Remap);
        let (wanted, printed) = (self.persistent, live.persistent);
        differences.field_with_reason("persistent", &wanted, &printed, Effect::Recreate, Self::ANEW);
        differences.field("overflow", &self.overflow, &live.overflow, Effect::Tune);
        self.compare_chunk(live, differences);
        Self::FEATURES.compare(self, live, differences);
    }
}

impl Target for Snapshot {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn keeps_state(&self) -> bool {
        self.persistent
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let mut lowers: DeviceUses<'_> = smallvec![
            DeviceUse { access: DeviceAccess::SharedRead, ..DeviceUse::write(&self.origin, 0, length) },
            DeviceUse {
                blocks: Blocks::StackedWhole,
                own_io: if self.persistent { OwnIo::FirstLoad } else { OwnIo::Never },
                ..DeviceUse::whole(&self.cow, DeviceAccess::Write)
            },
        ];
        // A chunk of 0 is the one in the header of the cow (`dm_exception_store_set_chunk_size`).
        if self.chunk.0 != 0 {
            for lower in &mut lowers {
                lower.unit = Some(self.chunk.0);
            }
        }
        lowers
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.origin, &mut self.cow]
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        if self.chunk.0 != 0 {
            problems.power_of_two("chunk", self.chunk.0, 1, MAX_CHUNK);
        } else if !self.persistent {
            problems.at(
                "chunk",
                "a snapshot that isn't persistent needs a chunk: a power of two, such as \"4KiB\"",
            );
        }
        if self.overflow && !self.persistent {
            problems.at("overflow", "overflow is only for persistent = true");
        }
        if self.discard_passdown_origin && !self.discard_zeroes_cow {
            problems.at("discard_passdown_origin", "discard_passdown_origin needs discard_zeroes_cow");
        }
        if self.origin == self.cow {
            problems.at("cow", "the COW device must be another one than the origin");
        }
    }

    /// `snapshot_map` reads what is not in the COW device from the origin.
    fn fresh_map(&self) -> Option<(&Device, u64)> {
        Some((&self.origin, 0))
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::from_sector(&self.origin, 0, size_of)
    }

    fn origin_use(&self) -> Option<OriginUse<'_>> {
        Some(OriginUse::Keeps { origin: &self.origin, cow: &self.cow })
    }

    fn handover(&self) -> Option<Handover<'_>> {
        self.persistent.then_some(Handover::Gives(&self.cow))
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        if !self.persistent {
            return Vec::new();
        }
        vec![Metadata {
            device: &self.cow,
            offset: 0,
            length: 512,
            look: |bytes| {
                if begins_with(bytes, 0) {
                    Found::Blank
                } else if begins_with(bytes, MAGIC) {
                    Found::Right
                } else {
                    Found::Other
                }
            },
            is_copy: false,
            otherwise: "the kernel writes the header of an empty snapshot",
        }]
    }

    /// The chunk size of the header wins over the table, in silence (`read_header` in
    /// `drivers/md/dm-snap-persistent.c`; `struct disk_header` has the offset).
    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        let head = on_disk.first().filter(|head| begins_with(head, MAGIC))?;
        let chunk =
            Some(Sectors(u64::from(le32(head, 12)?))).filter(|chunk| chunk.0 > 0 && self.chunk.0 > 0)?;
        Contradiction::field(&self.cow, "the header of the snapshot", "chunk", &chunk, &self.chunk)
    }

    fn needs(&self, _: &OnDisk<'_>, state: Option<&dyn State>) -> Vec<Need<'_>> {
        let of = "what the snapshot keeps";
        let need = |least| Need { device: &self.cow, least, of, left: None, remedy: Need::SIZE_BACK };
        state.and_then(State::in_use).map(need).into_iter().collect()
    }

    fn state_tells_needs(&self) -> bool {
        true
    }

    fn hazards(&self) -> Hazards {
        let lost = (!self.persistent).then_some(Self::TRANSIENT);
        Hazards { data_loss_on_remove: lost, data_loss_on_reload: lost, ..Hazards::default() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{self, device};

    pub fn snapshots() -> impl Strategy<Value = Snapshot> {
        let flags = prop::array::uniform4(any::<bool>());
        (device(), device(), flags, 0u32..=21).prop_map(|(origin, cow, [p, o, zeroes, passdown], power)| {
            Snapshot {
                origin,
                cow,
                persistent: p,
                overflow: p && o,
                chunk: Sectors(1 << power),
                discard_zeroes_cow: zeroes,
                discard_passdown_origin: zeroes && passdown,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(snapshot in snapshots()) {
            kit::round_trip(&snapshot)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        kit::refused::<Snapshot>("1:0 1:1 N 0", "needs a chunk");
        kit::refused::<Snapshot>("1:0 1:1 N 24", "nearest is 32");
        kit::refused::<Snapshot>("1:0 1:1 X 8", "persistent");
        kit::refused::<Snapshot>("1:0 1:1 N 16 1 discard_passdown_origin", "needs discard_zeroes_cow");
    }

    #[test]
    fn a_transient_snapshot_loses_its_changes() {
        let transient = kit::parse::<Snapshot>("1:0 1:1 N 8");
        let lost = transient.hazards();
        assert!(lost.data_loss_on_remove.is_some() && lost.data_loss_on_reload.is_some());
        assert!(transient.metadata().is_empty());
        let persistent = kit::parse::<Snapshot>("1:0 1:1 P 8");
        assert_eq!(persistent.hazards(), Hazards::default());
        assert_eq!(kit::differences(&persistent, &transient).effect(), Some(Effect::Recreate));
    }

    #[test]
    fn the_header_is_told_from_garbage() {
        let snapshot = kit::parse::<Snapshot>("1:0 1:1 P 8");
        let look = snapshot.metadata()[0].look;
        assert_eq!(look(&[0; 512]), Found::Blank);
        assert_eq!(look(b"SnAp\x01\0\0\0"), Found::Right);
        assert_eq!(look(&[1; 512]), Found::Other);
    }
}
