//! `snapshot-origin`: a device whose snapshots are kept up to date while it is written. Kernel source:
//! `drivers/md/dm-snap.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, OriginUse, ParamsError, Printer, Target,
    TargetKind, Traits, Words,
};
use crate::device::Device;

/// A device whose snapshots are kept up to date while it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotOrigin {
    /// The device that has snapshots.
    pub device: Device,
}

impl TargetKind for SnapshotOrigin {
    const NAME: &'static str = "snapshot-origin";
    const TRAITS: Traits = Traits { counts_from_device: true, ..Traits::EARLY };
    const MODULE: Option<&'static str> = Some("dm-snapshot");
    const DOC: Doc = Doc {
        summary: "A device that has snapshots: before a chunk is written, its old content is copied to the COW \
                  devices of them all.",
        since: "2.6",
        writes: "Nothing.",
        changes: "Another device is other data (`remap`).",
        example: "type = \"snapshot-origin\"\ndevice = \"/dev/disk/by-id/disk-a\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        Ok(Self { device: words.device("the device")? })
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device);
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
    }
}

impl Target for SnapshotOrigin {
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![DeviceUse { access: DeviceAccess::Shared, ..DeviceUse::write(&self.device, 0, length) }]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn origin_use(&self) -> Option<OriginUse<'_>> {
        Some(OriginUse::Writes(&self.device))
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        Some((&self.device, 0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::RemainingLength;
    use crate::targets::kit::{self, device};

    proptest! {
        #[test]
        fn what_is_printed_reads_back(device in device()) {
            let origin = SnapshotOrigin { device };
            kit::round_trip(&origin)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        kit::refused::<SnapshotOrigin>("1:0 0", "1 word too many");
    }

    #[test]
    fn the_length_is_that_of_the_device() {
        let origin = kit::parse::<SnapshotOrigin>("1:0");
        assert_eq!(origin.remaining_length(&|_| Some(64)), RemainingLength::Sectors(64));
        assert!(matches!(origin.remaining_length(&|_| Some(0)), RemainingLength::TooSmall(_)));
    }
}
