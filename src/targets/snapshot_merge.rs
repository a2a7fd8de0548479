//! `snapshot-merge`: writes the changes of a persistent snapshot back into its origin. Kernel source:
//! `drivers/md/dm-snap.c`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use super::{
    Contradiction, Copy, DeviceAccess, DeviceUses, Differences, Doc, FreshRow, Handover, LiveRow, Metadata,
    Need, OnDisk, OriginUse, ParamsError, Printer, Problems, RemainingLength, SizeOf, State, Status, Target,
    TargetKind, Traits, Unfinished, Words,
};
use crate::device::Device;

/// Writes the changes of a persistent snapshot back into its origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct SnapshotMerge(pub Snapshot);

impl JsonSchema for SnapshotMerge {
    fn schema_name() -> Cow<'static, str> {
        "SnapshotMerge".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Snapshot::json_schema(generator)
    }
}

impl TargetKind for SnapshotMerge {
    const NAME: &'static str = "snapshot-merge";
    const TRAITS: Traits = Traits { status: Status::Always, counts_from_device: true, ..Traits::PLAIN };
    const MODULE: Option<&'static str> = Some("dm-snapshot");
    const DOC: Doc = Doc {
        summary: "Takes the place of `snapshot-origin` and writes the changes of a snapshot back into the origin, \
                  in the background. The snapshot must be persistent.",
        since: "2.6",
        writes: "The changes, into the origin. A header at load, as for `snapshot`, when the COW device begins \
                 with four zero bytes.",
        changes: "As for `snapshot`. When `dmctl wait` ends, nothing is left to merge: replace it by \
                  `snapshot-origin` or `linear`.",
        example: "type = \"snapshot-merge\"\norigin = \"/dev/disk/by-id/disk-a\"\ncow = \
                  \"/dev/disk/by-id/disk-b\"\npersistent = true\nchunk = \"4KiB\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Snapshot::parse(words).map(Self)
    }

    fn print(&self, out: &mut Printer) {
        self.0.print(out);
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        self.0.compare(&live.0, differences);
    }
}

impl Target for SnapshotMerge {
    fn unfinished(&self) -> Option<Unfinished> {
        Some(Unfinished::UnmergedSectors)
    }

    fn copies(&self, _: Option<&dyn State>) -> Vec<Copy<'_>> {
        vec![Copy { device: &self.0.origin, sector: 0 }]
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        super::snapshot::state::read_merge(words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        super::snapshot::state::fresh_merge(&self.0, row)
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn copies_unasked(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let mut lowers = self.0.lower_devices(length);
        // The origin is written to, and shared with the other snapshots that it has.
        if let Some(origin) = lowers.first_mut() {
            origin.access = DeviceAccess::Shared;
        }
        lowers
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.0.devices_mut()
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        if self.0.persistent {
            self.0.check(length, problems);
        } else {
            // Never left to the kernel: 6.1 before 6.1.192 takes it and panics at resume.
            let message = "only a persistent snapshot can be merged: some kernels panic over any other";
            problems.at("persistent", message).help("write persistent = true");
        }
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        self.0.remaining_length(size_of)
    }

    fn origin_use(&self) -> Option<OriginUse<'_>> {
        Some(OriginUse::Writes(&self.0.origin))
    }

    fn handover(&self) -> Option<Handover<'_>> {
        Some(Handover::Takes(&self.0.cow))
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        self.0.metadata()
    }

    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        self.0.contradiction(on_disk)
    }

    fn needs(&self, on_disk: &OnDisk<'_>, state: Option<&dyn State>) -> Vec<Need<'_>> {
        self.0.needs(on_disk, state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit;
    use crate::targets::snapshot::tests::snapshots;

    proptest! {
        #[test]
        fn what_is_printed_reads_back(snapshot in snapshots()) {
            let merge = SnapshotMerge(snapshot);
            kit::round_trip(&merge)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        for row in ["1:0 1:1 N 8", "1:0 1:1 n 8", "1:0 1:1 N 0", "1:0 1:1 N 7 1 discard_zeroes_cow"] {
            kit::refused::<SnapshotMerge>(row, "only a persistent snapshot can be merged");
        }
    }

    #[test]
    fn a_map_that_does_not_say_persistent_is_refused() {
        let merge: SnapshotMerge = toml::from_str("origin = '1:0'\ncow = '1:1'\nchunk = 8").unwrap();
        assert_eq!(kit::problems(&merge, Some(8192)).len(), 1);
        assert!(toml::from_str::<SnapshotMerge>("origin = '1:0'\ncow = '1:1'\nchunks = 8").is_err());
    }
}
