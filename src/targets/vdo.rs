//! `vdo`: deduplication and compression. Kernel source: `drivers/md/dm-vdo/dm-vdo-target.c`.
//!
//! The kernel prints the words it was given, the path of the device too. Only growth, the device, and
//! three of the options may change while it runs.
//!
//! The options are a map and not fields, each compared with the default of the kernel. So they are not a table
//! of `frame/options.rs`, but have one of their own: what each takes, and what another value means.

mod state;

#[cfg(test)]
mod tests;
mod version;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use self::version::{Version, take_unused, thread_list};
use super::argument::Argument;
use super::{
    DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect, Found, FreshRow, LiveRow, MessageForm,
    Metadata, OwnIo, ParamsError, Printer, Problems, RemainingLength, SizeOf, SizeTaken, State, Status,
    Target, TargetKind, Traits, Unit, Words,
};
use crate::device::Device;
use crate::policy::Class;
use crate::units::{Bytes, SECTOR, Sectors};

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
    /// The size of the storage in blocks of 4096 bytes, as it is in the metadata. Required, but for a row of version `V0`,
    /// which takes the size of the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_blocks: Option<u64>,
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
    /// The version of the row, for a volume that is to keep the row of older tools; `V4` otherwise.
    #[serde(default, skip_serializing_if = "Vdo::is_current")]
    pub version: Version,
    /// The words of an older version that kernels skip, in the order of the row: two of a read cache (`V0`, `V1`), the RAID5
    /// mode (up to `V2`), the write policy (up to `V3`), the name of the pool (up to `V2`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unused: Vec<Argument>,
}

impl Vdo {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
    fn is_current(version: &Version) -> bool {
        *version == Version::default()
    }

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
        let foreign =
            |name: &&String| SWITCHES.iter().any(|(known, _)| known == name) || *name == "maxDiscard";
        for name in self.options.keys().filter(|_| self.version.has_thread_list()).filter(foreign) {
            let message =
                format!("a row of version {} has numbers of threads only, not {name}", self.version);
            problems.at(format!("options.{name}"), message);
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

    fn check_version(&self, problems: &mut Problems) {
        let version = self.version;
        match self.storage_blocks {
            Some(blocks) if version.has_size() => problems.range("storage_blocks", blocks, 1, MAX_BLOCKS),
            Some(_) => {
                let message = format!("a row of version {version} has no storage_blocks");
                problems.at("storage_blocks", message).help("leave it out: the size of the device is taken");
            }
            None if version.has_size() => {
                problems.at("storage_blocks", "`storage_blocks` is missing");
            }
            None => {}
        }
        if self.unused.len() != version.unused() {
            let (count, given) = (version.unused(), self.unused.len());
            problems.at(
                "unused",
                format!("a row of version {version} has {count} unused words, {given} are given"),
            );
        }
    }

    /// Compares the size of the storage. Only the kernel knows the size that a row without one took.
    fn compare_storage(&self, live: &Self, differences: &mut Differences) {
        let [storage, live_storage] =
            [self, live].map(|vdo| vdo.storage_blocks.map(|count| Unit::Blocks.of(count)));
        let sizes = self.storage_blocks.zip(live.storage_blocks);
        let (wanted, live) = (storage.as_ref(), live_storage.as_ref());
        match sizes.and_then(|(wanted, live)| refused_size(wanted, live)) {
            Some(why) => {
                differences.optional_with_reason("storage_blocks", wanted, live, Effect::Recreate, why);
            }
            None => differences.optional("storage_blocks", wanted, live, Effect::Tune),
        }
    }

    /// Returns the effect of a change of an option.
    fn effect_of(name: &str) -> Effect {
        let live = SWITCHES.iter().any(|(known, _)| *known == name)
            || NUMBERS.iter().any(|Setting(known, .., live)| *known == name && *live);
        if live { Effect::Tune } else { Effect::Recreate }
    }
}

/// Returns why a volume with `live` blocks of storage can't have `wanted` while it runs.
fn refused_size(wanted: u64, live: u64) -> Option<Cow<'static, str>> {
    match wanted.checked_sub(live) {
        None => Some("the storage can't shrink".into()),
        Some(more) if (1..MIN_GROWTH).contains(&more) => {
            Some(format!("{more} blocks more, the kernel wants at least {MIN_GROWTH}").into())
        }
        Some(_) => None,
    }
}

/// Judges the head of the device.
fn look(bytes: &[u8]) -> Found {
    if bytes.starts_with(MAGIC) { Found::Right } else { Found::Other }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes("stats", "", "tells its counters"),
    MessageForm::tunes("config", "", "tells its configuration"),
    MessageForm::tunes("compression", "on|off", "compresses, until the next suspend"),
    MessageForm::of(
        "index-create",
        "",
        "throws the index of equal blocks away, and begins one; data stays",
        Class::Loss,
    ),
    MessageForm::tunes("index-close", "", "finds no equal blocks any more"),
    MessageForm::tunes("index-enable", "", "finds equal blocks, until the next suspend"),
    MessageForm::tunes("index-disable", "", "finds no equal blocks, until the next suspend"),
    MessageForm::tunes("dump", "[WHAT]", "logs its state"),
    MessageForm::tunes("dump-on-shutdown", "", "logs its state when it ends"),
];

impl TargetKind for Vdo {
    const NAME: &'static str = "vdo";
    const TRAITS: Traits =
        Traits { status: Status::Always, singleton: true, messages: MESSAGES, ..Traits::PLAIN };
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
        let version = Version::take(words)?;
        let device = words.device("the device")?;
        let storage_blocks =
            version.has_size().then(|| words.number("the storage size in blocks")).transpose()?;
        let minimum_io_size = Bytes(words.number("the minimum I/O size in bytes")?);
        let mut unused = take_unused(words, version.unused_before_cache())?;
        let cache_blocks = words.number("the size of the block map cache in blocks")?;
        let era_length = words.number("the era length of the block map")?;
        unused.extend(take_unused(words, version.unused() - unused.len())?);
        let options = version.take_options(words)?;
        Ok(Self {
            device,
            storage_blocks,
            minimum_io_size,
            cache_blocks,
            era_length,
            options,
            version,
            unused,
        })
    }

    fn print(&self, out: &mut Printer) {
        let version = self.version;
        let (before, behind) = self.unused.split_at(version.unused_before_cache().min(self.unused.len()));
        out.flag(version != Version::V0, version.word()).device(&self.device);
        if let Some(blocks) = self.storage_blocks {
            out.word(blocks);
        }
        out.word(self.minimum_io_size);
        for word in before {
            out.word(word);
        }
        out.word(self.cache_blocks).word(self.era_length);
        for word in behind {
            out.word(word);
        }
        if version.has_thread_list() {
            out.word(thread_list(&self.options));
            return;
        }
        for (name, value) in &self.options {
            out.word(name).word(value);
        }
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        differences.field("device", &self.device, &live.device, Effect::Remap);
        self.compare_storage(live, differences);
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
        // Another version means the same, and its unused words can't be compared: only kernels that read them tell.
        if self.version == live.version {
            for (place, (wanted, live)) in self.unused.iter().zip(&live.unused).enumerate() {
                differences.field(&format!("unused[{place}]"), wanted, live, Effect::Tune);
            }
        }
    }
}

impl Target for Vdo {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    fn lower_devices(&self, _: u64) -> DeviceUses<'_> {
        // The size: `parse_device_config` in `drivers/md/dm-vdo/dm-vdo-target.c`.
        let taken = if self.version.has_size() { SizeTaken::Checked } else { SizeTaken::AtLoad };
        smallvec![DeviceUse {
            length: self.storage_blocks.and_then(|blocks| blocks.checked_mul(BLOCK)),
            ..DeviceUse::whole(&self.device, DeviceAccess::Write)
                .taking_size(taken)
                .with_own_io(OwnIo::EachChange)
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
        self.check_version(problems);
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
