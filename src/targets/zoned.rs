//! `zoned`: a zoned disk as an ordinary one. Kernel source: `drivers/md/dm-zoned-target.c`.
//!
//! A disk without its metadata must not get to the kernel: `dmz_load_sb` in `dm-zoned-metadata.c` reports through
//! a device that `dmz_lookup_secondary_sb` has just forgotten, and 6.12.117 was seen to crash there, with the
//! calls of every other device waiting behind it.

mod state;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, Found, LiveRow, MessageForm, Metadata,
    NoRoom, OwnIo, ParamsError, Printer, Problems, RemainingLength, SizeOf, State, Status, Target,
    TargetKind, Traits, Words, begins_with,
};
use crate::device::Device;

/// What the first super block starts with, in the first zone that takes writes anywhere; that is where the
/// first device begins.
const MAGIC: u32 = 0x445a_4244;

/// Sectors in a block of the target (`DMZ_BLOCK_SIZE` in `drivers/md/dm-zoned.h`).
const BLOCK: u64 = 8;

/// A zoned disk as one that takes writes anywhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Zoned {
    /// One zoned device; or a regular one, that takes random writes, and the zoned ones behind it. All of them
    /// made ready by `dmzadm --format` in this order.
    pub devices: Vec<Device>,
}

/// Judges the head of the first device.
fn look(bytes: &[u8]) -> Found {
    if begins_with(bytes, MAGIC) { Found::Right } else { Found::Fatal }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[MessageForm::tunes("reclaim", "", "frees zones now")];

impl TargetKind for Zoned {
    const NAME: &'static str = "zoned";
    const TRAITS: Traits =
        Traits { status: Status::Always, singleton: true, messages: MESSAGES, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "Takes writes anywhere and turns them into the sequential ones that a zoned disk wants.",
        since: "4.13",
        writes: "Nothing; the devices must have been made ready by `dmzadm --format`. dmctl refuses a first device that \
                 does not begin with that metadata, for the kernel would crash over it.",
        changes: "Other devices map the same sectors to another place (`remap`). The kernel replaces the length by what the \
                  metadata says, so the length is not compared.",
        example: "type = \"zoned\"\nlength = \"1GiB\"\ndevices = [\"/dev/disk/by-id/smr-a\"]",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let mut devices = vec![words.device("the device")?];
        while words.left() > 0 {
            devices.push(words.device("a zoned device")?);
        }
        Ok(Self { devices })
    }

    fn print(&self, out: &mut Printer) {
        for device in &self.devices {
            out.device(device);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("devices", &self.devices.len(), &live.devices.len(), Effect::Remap);
        for (index, (wanted, live)) in self.devices.iter().zip(&live.devices).enumerate() {
            differences.field(&format!("devices[{index}]"), wanted, live, Effect::Remap);
        }
    }
}

impl Target for Zoned {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, _: u64) -> DeviceUses<'_> {
        let whole = |device| DeviceUse::whole(device, DeviceAccess::Write).with_own_io(OwnIo::EachChange);
        self.devices.iter().map(whole).collect()
    }

    /// Blocks of 4 KiB, whatever the disks have (`dmz_io_hints`).
    fn logical_block(&self, _: u64) -> u64 {
        BLOCK
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        self.devices.iter_mut().collect()
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        if self.devices.is_empty() {
            problems.at("devices", "zoned needs at least one device");
        }
        let mut seen = BTreeSet::new();
        for (index, device) in self.devices.iter().enumerate() {
            let same = device.number.map_or_else(|| device.to_string(), |number| number.to_string());
            if !seen.insert(same) {
                problems.at(
                    format!("devices[{index}]"),
                    format!("{device} is there twice: name each device once"),
                );
            }
        }
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        let first = self.devices.first().map(|device| Metadata {
            device,
            offset: 0,
            length: 4,
            look,
            is_copy: false,
            otherwise: "it does not begin with the metadata of dm-zoned, and the kernel would crash; make it ready with \
                        dmzadm --format first",
        });
        first.into_iter().collect()
    }

    /// The kernel puts the length that the metadata gives in place of the one it was told.
    fn resized(&self, _: u64, _: u64, _: &mut Differences) {}

    /// The devices together; the kernel takes off what its metadata needs.
    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let sizes: Option<Vec<u64>> = self.devices.iter().map(size_of).collect();
        match sizes.map(|sizes| sizes.into_iter().fold(0, u64::saturating_add)) {
            None => RemainingLength::Unknown,
            Some(0) => RemainingLength::TooSmall(NoRoom::Empty),
            Some(whole) => RemainingLength::Sectors(whole),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{check, compare, device, parse, resized, round_trip, try_parse};

    proptest! {
        #[test]
        fn rows_read_back(devices in prop::collection::vec(device(), 1..5)) {
            round_trip(&Zoned { devices })?;
        }
    }

    #[test]
    fn devices_are_counted_and_told_apart() {
        assert!(try_parse::<Zoned>("").is_err());
        assert_eq!(check::<Zoned>("8:0 8:16 8:0", None)[0].field, "devices[2]");
        assert_eq!(compare::<Zoned>("8:0 8:16", "8:16 8:0").fields.len(), 2);
        assert_eq!(compare::<Zoned>("8:0 8:16", "8:0").effect(), Some(Effect::Remap));
        let zoned: Zoned = parse("8:0 8:16");
        assert_eq!(zoned.remaining_length(&|_| Some(8)), RemainingLength::Sectors(16));
        assert_eq!(resized(&zoned, 8, 16), None);
    }

    #[test]
    fn a_formatted_device_is_known_by_its_magic() {
        assert_eq!(look(b"DBZD"), Found::Right);
        assert_eq!(look(&[0; 4]), Found::Fatal);
    }
}
