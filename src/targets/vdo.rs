//! `vdo`: deduplication and compression. Kernel source: `drivers/md/dm-vdo/dm-vdo-target.c`.
//!
//! The kernel prints the words it was given, the path of the device too. Only growth, the device, and
//! three of the options may change while it runs.
//!
//! The options are a map and not fields, each compared with the default of the kernel. So they are not a table
//! of `frame/options.rs`, but have one of their own: what each takes, and what another value means.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::Argument;
use super::{
    DeviceAccess, DeviceUse, Differences, Doc, Effect, Found, Metadata, ParamsError, Printer, Problems,
    RemainingLength, SizeOf, SizeTaken, Target, TargetKind, Traits, Unit, Words,
};
use crate::device::Device;
use crate::units::{Bytes, SECTOR, Sectors};

/// The form of the row, and the only one that current kernels write.
const VERSION: &str = "V4";
/// What a formatted device starts with.
const MAGIC: &[u8] = b"dmvdo001";
/// Sectors in a block of 4096 bytes.
const BLOCK: u64 = 8;
/// The longest a volume can be, in sectors: 4 PiB.
const MAX_LENGTH: u64 = 1 << 43;
/// The most blocks of storage: 256 TiB.
const MAX_BLOCKS: u64 = 1 << 36;
/// The fewest blocks by which the storage may grow at once.
const MIN_GROWTH: u64 = 32_832;
/// The most threads of one kind.
const MAX_THREADS: u64 = 100;

/// An option: its name, its minimum and maximum, its default, and whether it may change while the
/// volume runs.
struct Setting(&'static str, u64, u64, u32, bool);

/// The options that are numbers.
const NUMBERS: &[Setting] = &[
    Setting("ack", 0, MAX_THREADS, 1, false),
    Setting("bio", 1, MAX_THREADS, 4, false),
    Setting("bioRotationInterval", 1, 1024, 64, false),
    Setting("cpu", 1, MAX_THREADS, 1, false),
    Setting("hash", 0, MAX_THREADS, 0, false),
    Setting("logical", 0, 60, 0, false),
    Setting("physical", 0, 16, 0, false),
    Setting("maxDiscard", 1, u32::MAX as u64 / 4096, 1, true),
];

/// The options that are `on` or `off`, and their defaults. They may change while the volume runs.
const SWITCHES: &[(&str, &str)] = &[("deduplication", "on"), ("compression", "off")];

/// A volume that stores equal blocks once, and compressed where that is wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Vdo {
    /// The device below, made ready by `vdoformat`.
    pub device: Device,
    /// The size of the storage in blocks of 4096 bytes, as it is in the metadata.
    pub storage_blocks: u64,
    /// The smallest request that the volume takes, in bytes: 512 or 4096.
    pub minimum_io_size: Bytes,
    /// The size of the block map cache in blocks of 4096 bytes, at least 32768 (128 MiB).
    pub cache_blocks: u32,
    /// How soon changed pages of the block map are written, from 1 (soonest) to 16380.
    pub era_length: u32,
    /// Numbers of threads and other settings by name: `ack`, `bio`, `bioRotationInterval`, `cpu`, `hash`,
    /// `logical`, `physical`, `maxDiscard` are numbers; `deduplication` and `compression` are `on` or `off`.
    /// Defaults: those of the kernel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, Argument>,
}

impl Vdo {
    /// The value of an option, the kernel's default where it is left out.
    fn option(&self, name: &str) -> Option<Argument> {
        let default = || {
            let number = NUMBERS.iter().find(|setting| setting.0 == name).map(|setting| setting.3.into());
            let switch = || SWITCHES.iter().find(|(known, _)| *known == name);
            number.or_else(|| switch().and_then(|(_, value)| Argument::new(value).ok()))
        };
        self.options.get(name).cloned().or_else(default)
    }

    /// Returns a numeric option, 0 where it is not a number.
    fn number(&self, name: &str) -> u64 {
        self.option(name).and_then(|value| value.number()).unwrap_or(0)
    }

    fn check_options(&self, problems: &mut Problems) {
        for (name, value) in &self.options {
            let field = format!("options.{name}");
            if let Some(Setting(_, least, most, ..)) = NUMBERS.iter().find(|setting| setting.0 == name) {
                match value.number() {
                    Some(number) => problems.range(&field, number, *least, *most),
                    None => {
                        problems.at(&field, format!("{field} must be a number from {least} to {most}"));
                    }
                }
            } else if SWITCHES.iter().any(|(known, _)| known == name) {
                if !matches!(value.as_str(), "on" | "off") {
                    problems.at(&field, format!("{field} must be \"on\" or \"off\", `{value}` is neither"));
                }
            } else {
                let all =
                    NUMBERS.iter().map(|setting| setting.0).chain(SWITCHES.iter().map(|switch| switch.0));
                let all = all.collect::<Vec<_>>().join(", ");
                problems
                    .at(&field, format!("vdo has no option `{}`", name.escape_debug()))
                    .help(format!("it has {all}"));
            }
        }
        let threads = ["hash", "logical", "physical"].map(|name| self.number(name));
        if threads.contains(&0) && threads.iter().any(|count| *count > 0) {
            problems.at("options", "hash, logical and physical must be 0 all three, or all three at least 1");
        }
        let least = self.number("logical").saturating_mul(4096);
        if u64::from(self.cache_blocks) < least {
            let message = "cache_blocks must be at least 4096 for each logical thread";
            problems.at("cache_blocks", message).nearest(least);
        }
    }

    /// Returns the effect of a change of an option.
    fn effect_of(name: &str) -> Effect {
        let live = SWITCHES.iter().any(|(known, _)| *known == name)
            || NUMBERS.iter().any(|Setting(known, .., live)| *known == name && *live);
        if live { Effect::Tune } else { Effect::Recreate }
    }
}

/// Judges the head of the device.
fn look(bytes: &[u8]) -> Found {
    if bytes.starts_with(MAGIC) { Found::Right } else { Found::Other }
}

impl TargetKind for Vdo {
    const NAME: &'static str = "vdo";
    const TRAITS: Traits = Traits { singleton: true, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "Stores equal blocks once, compresses them where that is wanted, and offers more space than it has.",
        since: "6.9",
        writes: "Nothing when the sizes are those of the metadata; a larger size is recorded there at resume, for \
                 good. The device must have been made ready by `vdoformat`, or the load is refused.",
        changes: "A longer row, more `storage_blocks` (at least 32832 more), `deduplication`, `compression` and \
                  `maxDiscard` are a `reload`. Another device is a `remap`. A shrink is refused by the kernel, and \
                  anything else takes effect only when the device is removed and created again (`remap`).",
        example: "type = \"vdo\"\nlength = \"10GiB\"\ndevice = \"/dev/disk/by-id/disk-a\"\nstorage_blocks = 1310720\n\
                  minimum_io_size = 4096\ncache_blocks = 32768\nera_length = 16380\noptions = { compression = \"on\", \
                  ack = 1 }",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        if words.next("the version")? != VERSION {
            return Err(words.wrong(format!("the row must start with {VERSION}")));
        }
        let mut vdo = Self {
            device: words.device("the device")?,
            storage_blocks: words.number("the storage size in blocks")?,
            minimum_io_size: Bytes(words.number("the minimum I/O size in bytes")?),
            cache_blocks: words.number("the size of the block map cache in blocks")?,
            era_length: words.number("the era length of the block map")?,
            options: BTreeMap::new(),
        };
        while words.left() > 0 {
            let name = words.next("an option")?.to_string();
            let value = words.next(&format!("the value of {name}"))?;
            let value = Argument::new(value).map_err(|error| words.wrong(error.to_string()))?;
            vdo.options.insert(name, value);
        }
        Ok(vdo)
    }

    fn print(&self, out: &mut Printer) {
        out.word(VERSION)
            .device(&self.device)
            .word(self.storage_blocks)
            .word(self.minimum_io_size)
            .word(self.cache_blocks)
            .word(self.era_length);
        for (name, value) in &self.options {
            out.word(name).word(value);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
        let [storage, live_storage] = [self, live].map(|vdo| Unit::Blocks.of(vdo.storage_blocks));
        match self.storage_blocks.checked_sub(live.storage_blocks) {
            Some(0) => {}
            Some(more) if more >= MIN_GROWTH => {
                differences.field("storage_blocks", &storage, &live_storage, Effect::Tune);
            }
            Some(more) => differences.field_with_reason(
                "storage_blocks",
                &storage,
                &live_storage,
                Effect::Recreate,
                format!("{more} blocks more, the kernel wants at least {MIN_GROWTH}"),
            ),
            None => differences.field_with_reason(
                "storage_blocks",
                &storage,
                &live_storage,
                Effect::Recreate,
                "the storage can't shrink",
            ),
        }
        differences.field("minimum_io_size", &self.minimum_io_size, &live.minimum_io_size, Effect::Recreate);
        let [cache, live_cache] = [self, live].map(|vdo| Unit::Blocks.of(vdo.cache_blocks));
        differences.field("cache_blocks", &cache, &live_cache, Effect::Recreate);
        differences.field("era_length", &self.era_length, &live.era_length, Effect::Recreate);
        let names: BTreeSet<&String> = self.options.keys().chain(live.options.keys()).collect();
        for name in names {
            let (wanted, live) = (self.option(name), live.option(name));
            let field = format!("options.{name}");
            differences.optional(&field, wanted.as_ref(), live.as_ref(), Self::effect_of(name));
        }
    }
}

impl Target for Vdo {
    fn lower_devices(&self, _: u64) -> Vec<DeviceUse<'_>> {
        vec![DeviceUse {
            length: self.storage_blocks.checked_mul(BLOCK),
            // The size: `parse_device_config` in `drivers/md/dm-vdo/dm-vdo-target.c`.
            ..DeviceUse::whole(&self.device, DeviceAccess::Write).taking_size(SizeTaken::Checked)
        }]
    }

    /// The block size of the row, whatever the device below has (`vdo_io_hints`).
    fn logical_block(&self, _: u64) -> u64 {
        (self.minimum_io_size.0 / SECTOR).max(1)
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        problems.range("storage_blocks", self.storage_blocks, 1, MAX_BLOCKS);
        if !matches!(self.minimum_io_size.0, 512 | 4096) {
            let nearest = if self.minimum_io_size.0 < 2304 { 512 } else { 4096 };
            let message = format!("minimum_io_size must be 512 or 4096, {} is neither", self.minimum_io_size);
            problems.at("minimum_io_size", message).nearest(nearest);
        }
        problems.range("cache_blocks", u64::from(self.cache_blocks), 32_768, u64::from(u32::MAX));
        problems.range("era_length", u64::from(self.era_length), 1, 16_380);
        if let Some(length) = length {
            problems.multiple("length", length, BLOCK, BLOCK, MAX_LENGTH);
        }
        self.check_options(problems);
    }

    /// The volume grows; a shorter row is refused.
    fn resized(&self, length: u64, live_length: u64, differences: &mut Differences) {
        let effect = if length > live_length { Effect::Tune } else { Effect::Recreate };
        differences.field("length", &Sectors(length), &Sectors(live_length), effect);
    }

    /// The length is a field of the metadata, whatever the size of the device.
    fn remaining_length(&self, _: SizeOf<'_>) -> RemainingLength {
        RemainingLength::NotApplicable
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        vec![Metadata {
            device: &self.device,
            offset: 0,
            length: MAGIC.len(),
            look,
            is_copy: false,
            otherwise: "the kernel refuses the device: make it ready with vdoformat first",
        }]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::kit::{
        check, compare, device, parse, problems, resized, round_trip, try_parse, wrong_fields,
    };

    fn options() -> impl Strategy<Value = BTreeMap<String, Argument>> {
        let on_off = prop_oneof![Just("on"), Just("off")].prop_map(|value| Argument::new(value).unwrap());
        let option = prop_oneof![
            (Just("ack"), (0u32..=100).prop_map(Argument::from)),
            (Just("maxDiscard"), (1u32..=1_048_575).prop_map(Argument::from)),
            (Just("compression"), on_off),
        ];
        prop::collection::btree_map(option.clone().prop_map(|(name, _)| name), option, 0..3)
            .prop_map(|map| map.into_values().map(|(name, value)| (name.to_string(), value)).collect())
    }

    proptest! {
        #[test]
        fn rows_read_back(
            device in device(),
            storage_blocks in 1u64..=MAX_BLOCKS,
            small in any::<bool>(),
            cache_blocks in 32_768u32..,
            era_length in 1u32..=16_380,
            options in options(),
        ) {
            let minimum_io_size = Bytes(if small { 512 } else { 4096 });
            let vdo = Vdo { device, storage_blocks, minimum_io_size, cache_blocks, era_length, options };
            prop_assert_eq!(problems(&vdo, Some(64)), []);
            round_trip(&vdo)?;
        }
    }

    const ROW: &str = "V4 8:0 262144 4096 32768 16380";

    #[test]
    fn only_some_changes_pass_while_it_runs() {
        let effect = |wanted: &str| compare::<Vdo>(wanted, ROW).effect();
        assert_eq!(effect("V4 8:0 294976 4096 32768 16380"), Some(Effect::Tune));
        assert_eq!(effect("V4 8:0 262145 4096 32768 16380"), Some(Effect::Recreate));
        assert_eq!(effect("V4 8:0 262143 4096 32768 16380"), Some(Effect::Recreate));
        assert_eq!(effect("V4 8:16 262144 4096 32768 16380"), Some(Effect::Remap));
        assert_eq!(effect("V4 8:0 262144 4096 32768 16380 compression on"), Some(Effect::Tune));
        assert_eq!(effect("V4 8:0 262144 4096 32768 16380 bio 5"), Some(Effect::Recreate));
        // An option that is set to its default is not a change, in any order.
        assert_eq!(effect("V4 8:0 262144 4096 32768 16380 bio 04 ack 1 deduplication on"), None);
    }

    #[test]
    fn a_volume_grows_and_never_shrinks() {
        let vdo: Vdo = parse(ROW);
        assert_eq!(resized(&vdo, 16, 8), Some(Effect::Tune));
        assert_eq!(resized(&vdo, 8, 16), Some(Effect::Recreate));
        assert_eq!(vdo.remaining_length(&|_| Some(8)), RemainingLength::NotApplicable);
    }

    #[test]
    fn limits() {
        for (row, field) in [
            ("V4 8:0 0 4096 32768 16380", "storage_blocks"),
            ("V4 8:0 262144 1024 32768 16380", "minimum_io_size"),
            ("V4 8:0 262144 4096 100 16380", "cache_blocks"),
            ("V4 8:0 262144 4096 32768 0", "era_length"),
            ("V4 8:0 262144 4096 32768 16380 ack 101", "options.ack"),
            ("V4 8:0 262144 4096 32768 16380 Ack 1", "options.Ack"),
            ("V4 8:0 262144 4096 32768 16380 compression yes", "options.compression"),
            ("V4 8:0 262144 4096 32768 16380 hash 1", "options"),
            ("V4 8:0 262144 4096 32768 16380 hash 1 physical 1 logical 9", "cache_blocks"),
        ] {
            assert_eq!(wrong_fields::<Vdo>(row, None), [field], "{row}");
        }
        assert_eq!(check::<Vdo>(ROW, Some(12))[0].field, "length");
        assert!(try_parse::<Vdo>("V3 8:0 262144 4096 32768 16380").is_err());
        assert!(try_parse::<Vdo>("V4 8:0 262144 4096 32768 16380 ack").is_err());
    }

    #[test]
    fn a_formatted_device_is_known_by_its_magic() {
        assert_eq!(look(b"dmvdo001"), Found::Right);
        assert_eq!(look(&[0; 8]), Found::Other);
    }
}
