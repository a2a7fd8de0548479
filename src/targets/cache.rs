//! `cache`: a slow device with the blocks in use kept on a fast one. Kernel source:
//! `drivers/md/dm-cache-target.c`, `drivers/md/dm-cache-metadata.c`.
//!
//! The features are a table of options. The settings of a policy are not: they are a map, for which of them mean
//! something depends on the policy.

mod state;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::choice::choice;
use super::state::Damage;
use super::{
    ANY_WORD, Blocks, Contradiction, Copy, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, Effect,
    FreshRow, Left, LiveRow, MessageForm, Metadata, Need, OnDisk, Options, OwnIo, ParamsError, Printer,
    Problems, RemainingLength, Remedy, Repair, SizeOf, SizeTaken, State, Status, Syntax, Target, TargetKind,
    Traits, Unfinished, Words, alternatives, le32, of_type, option,
};
use crate::device::Device;
use crate::policy::Class;
use crate::units::Sectors;

/// `CACHE_SUPERBLOCK_MAGIC` of `dm-cache-metadata.c`, written there in octal.
const MAGIC: u64 = 0o614_2003;
/// The flag of a superblock whose metadata needs a check (`enum superblock_flag_bits` there).
const NEEDS_CHECK: u32 = 1 << 1;
/// The smallest block, and what every block is a multiple of (`DATA_DEV_BLOCK_SIZE_MIN_SECTORS`): 32 KiB.
const BLOCK_STEP: u64 = 64;
/// The largest block (`DATA_DEV_BLOCK_SIZE_MAX_SECTORS`): 1 GiB.
const MAX_BLOCK_SIZE: u64 = 2_097_152;
/// The settings of a policy (`process_config_option` in `dm-cache-target.c`), and those that only `mq` takes
/// (`mq_set_config_value` in `dm-cache-policy-smq.c`).
const SETTINGS: [&str; 6] = [
    MIGRATION_THRESHOLD,
    "random_threshold",
    "sequential_threshold",
    "discard_promote_adjustment",
    "read_promote_adjustment",
    "write_promote_adjustment",
];

/// The setting that is a number of sectors.
const MIGRATION_THRESHOLD: &str = "migration_threshold";
/// The policy that writes everything back and caches nothing new.
const CLEANER: &str = "cleaner";

/// A slow device with the blocks in use kept on a fast one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    /// The device that records which blocks are cached.
    pub metadata: Device,
    /// The fast device, which holds the cached blocks.
    pub cache: Device,
    /// The slow device.
    pub origin: Device,
    /// How much is cached at a time: a multiple of 32 KiB up to 1 GiB, fixed when the metadata is formatted.
    pub block_size: Sectors,
    /// When a write reaches the origin; default writeback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<CacheMode>,
    /// Format the metadata in version 2, which keeps dirty bits apart. For metadata that is there already it
    /// means nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub metadata2: bool,
    /// Don't pass discards on to the origin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_discard_passdown: bool,
    /// What decides which blocks are cached: `default`, `smq`, `mq` or `cleaner`; the first three are one.
    #[serde(default = "default_policy")]
    pub policy: String,
    /// Settings of the policy, such as `migration_threshold` in sectors.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policy_args: BTreeMap<String, u64>,
}

choice! {
    /// When a write reaches the origin.
    #[derive(Default)]
    CacheMode {
        /// At once.
        Writethrough = "writethrough",
        /// Later: until then the block is dirty and the cache holds the only copy.
        #[default]
        Writeback = "writeback",
        /// At once, and the cache is bypassed by reads and cleared by writes.
        Passthrough = "passthrough",
    }
}

fn default_policy() -> String {
    "default".to_string()
}

/// The one name of the policies that are the same code in the kernel.
fn canonical(policy: &str) -> String {
    if matches!(policy, "default" | "mq") { "smq".to_string() } else { policy.to_string() }
}

impl Cache {
    /// The mode is compared by hand: why another one may be refused depends on which it is. The kernel prints the one
    /// that it was given, and none where it was given none.
    const FEATURES: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: "a cache has no feature {}", ignore_case: true },
        all: &[
            option!(metadata2).tune(),
            alternatives!(mode:
                "writethrough" => Some(CacheMode::Writethrough),
                "writeback" => Some(CacheMode::Writeback),
                "passthrough" => Some(CacheMode::Passthrough)
            ),
            option!(no_discard_passdown).tune(),
        ],
    };

    fn mode(&self) -> CacheMode {
        self.mode.unwrap_or_default()
    }

    fn parse_features(&mut self, features: &mut Words<'_>) -> Result<(), ParamsError> {
        let mut modes = 0;
        while let Some(word) = features.peek() {
            modes += usize::from(CacheMode::find(word).is_some());
            Self::FEATURES.parse_one(self, features)?;
        }
        if modes > 1 {
            return Err(features.wrong(format!("only one of {} may stand here", CacheMode::words())));
        }
        Ok(())
    }

    fn parse_policy(&mut self, words: &mut Words<'_>) -> Result<(), ParamsError> {
        self.policy = words.next("the policy")?.to_string();
        let mut args = words.always_counted("policy arguments")?;
        while args.left() > 0 {
            let name = args.next("a policy argument")?.to_ascii_lowercase();
            let value = args.number(&name)?;
            self.policy_args.insert(name, value);
        }
        Ok(())
    }
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[
    MessageForm::tunes("migration_threshold", "SECTORS", "moves at most that many sectors at once"),
    MessageForm::of(
        "invalidate_cblocks",
        "BLOCK|FIRST-END ...",
        "drops blocks from the cache, in passthrough mode alone; END is the first that stays",
        Class::Loss,
    ),
    MessageForm::tunes(ANY_WORD, "VALUE", "sets a value of the policy"),
];

impl TargetKind for Cache {
    const NAME: &'static str = "cache";
    const TRAITS: Traits =
        Traits { status: Status::Always, counts_from_device: true, messages: MESSAGES, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "A slow device with the blocks in use kept on a fast one.",
        since: "3.9",
        writes: "Fresh metadata at load, when the first 4 KiB of the metadata device are zero; anything else there \
                 that is not such metadata is refused.",
        changes: "Mode, policy and features are a `reload`. Another device is a `remap`; another block size takes \
                  fresh metadata. A cache in mode writeback that is taken away loses its dirty blocks (`loss`): \
                  set policy = \"cleaner\" first and wait with `dmctl wait`.",
        example: "type = \"cache\"\nmetadata = \"/dev/disk/by-id/disk-a-part1\"\ncache = \
                  \"/dev/disk/by-id/disk-a-part2\"\norigin = \"/dev/disk/by-id/disk-b\"\nblock_size = \
                  \"256KiB\"\nmode = \"writethrough\"\npolicy = \"smq\"\npolicy_args = { migration_threshold = 4096 }",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let mut cache = Self {
            metadata: words.device("the metadata device")?,
            cache: words.device("the cache device")?,
            origin: words.device("the origin")?,
            block_size: words.sectors("the block size")?,
            ..Self::default()
        };
        cache.parse_features(&mut words.always_counted("features")?)?;
        cache.parse_policy(words)?;
        Ok(cache)
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.metadata).device(&self.cache).device(&self.origin).word(self.block_size);
        out.always_counted(|out| Self::FEATURES.print(self, out));
        out.word(&self.policy).always_counted(|out| {
            for (name, value) in &self.policy_args {
                out.word(name).word(value);
            }
        });
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        let why = "another metadata device knows of other cached blocks, or of none";
        differences.field_with_reason("metadata", &self.metadata, &live.metadata, Effect::Remap, why);
        differences.field("cache", &self.cache, &live.cache, Effect::Remap);
        differences.field("origin", &self.origin, &live.origin, Effect::Remap);
        differences.fixed("block_size", &self.block_size, &live.block_size, "metadata");
        if self.mode() == CacheMode::Passthrough {
            let why = "the kernel refuses while a block is dirty; set policy = \"cleaner\" first";
            differences.field_with_reason("mode", &self.mode(), &live.mode(), Effect::Tune, why);
        } else {
            differences.field("mode", &self.mode(), &live.mode(), Effect::Tune);
        }
        Self::FEATURES.compare(self, live, differences);
        differences.field("policy", &canonical(&self.policy), &canonical(&live.policy), Effect::Tune);
        for name in self
            .policy_args
            .keys()
            .chain(live.policy_args.keys().filter(|name| !self.policy_args.contains_key(*name)))
        {
            let (wanted, printed) = (self.policy_args.get(name), live.policy_args.get(name));
            let field = format!("policy_args.{name}");
            if name == MIGRATION_THRESHOLD {
                let [wanted, printed] = [wanted, printed].map(|setting| setting.copied().map(Sectors));
                differences.optional(&field, wanted.as_ref(), printed.as_ref(), Effect::Tune);
            } else {
                differences.optional(&field, wanted, printed, Effect::Tune);
            }
        }
    }
}

impl Target for Cache {
    fn unfinished(&self) -> Option<Unfinished> {
        Some(Unfinished::DirtyBlocks)
    }

    fn copies(&self, _: Option<&dyn State>) -> Vec<Copy<'_>> {
        vec![Copy { device: &self.origin, sector: 0 }]
    }

    fn remedy(&self, state: Option<&dyn State>) -> Remedy {
        // Without metadata that it can write it writes nothing back.
        if let Some(repair) = state.and_then(|state| self.repair(state.damage()?, false)) {
            return Remedy::Repair(repair);
        }
        if self.policy == CLEANER { Remedy::Wait } else { Remedy::Order("set policy = \"cleaner\", apply") }
    }

    /// Passthrough needs clean metadata (`cache_create`, `EBUSY`), and a dirty block behind the end of the origin ends the
    /// load of the mappings (`load_mapping`, `EFBIG`; both in `drivers/md/dm-cache-target.c`).
    fn refused_unfinished(&self, length: u64, live: &dyn Target, live_length: u64) -> Option<&'static str> {
        let live: &Self = of_type(live)?;
        let is_passthrough = |cache: &Self| cache.mode() == CacheMode::Passthrough;
        if is_passthrough(self) && !is_passthrough(live) {
            return Some("mode = \"passthrough\"");
        }
        (length < live_length).then_some("a shorter row")
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(self, row)
    }

    fn may_need_repair(&self) -> bool {
        true
    }

    /// The constructor refuses metadata that needs a check (`cache_create` in `drivers/md/dm-cache-target.c`, which wants write
    /// access). A cache that failed for another reason may work again.
    fn repair(&self, damage: Damage, _: bool) -> Option<Repair> {
        (damage == Damage::NeedsCheck).then_some(Repair::of_cache(damage))
    }

    fn keepers(&self) -> Vec<&Device> {
        vec![&self.cache, &self.metadata]
    }

    fn keeps_state(&self) -> bool {
        true
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    /// The constructor takes the number of blocks from the cache device, and refuses an origin that is shorter than the
    /// row (`parse_cache_dev` and `parse_origin_dev` in `drivers/md/dm-cache-target.c`). The metadata does not grow.
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![
            DeviceUse::whole(&self.metadata, DeviceAccess::Write).apart().with_own_io(OwnIo::EachChange),
            DeviceUse {
                blocks: Blocks::StackedWhole,
                ..DeviceUse::whole(&self.cache, DeviceAccess::Write).taking_size(SizeTaken::AtLoad)
            },
            DeviceUse::write(&self.origin, 0, length).taking_size(SizeTaken::Checked),
        ]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.metadata, &mut self.cache, &mut self.origin]
    }

    fn check(&self, _: Option<u64>, problems: &mut Problems) {
        problems.multiple("block_size", self.block_size.0, BLOCK_STEP, BLOCK_STEP, MAX_BLOCK_SIZE);
        if self.metadata == self.cache || self.metadata == self.origin {
            problems.at("metadata", "the metadata must be on a device of its own");
        }
        if self.cache == self.origin {
            problems.at("cache", "the cache must be another device than the origin");
        }
        if !matches!(self.policy.as_str(), "default" | "mq" | "smq" | CLEANER) {
            let policy = self.policy.escape_debug();
            problems.at("policy", format!("policy must be default, smq, mq or cleaner, `{policy}` is none"));
        }
        // The policy that was replaced by smq had more settings; they are taken, and do nothing.
        let known = if self.policy == "mq" { &SETTINGS[..] } else { &SETTINGS[..1] };
        for name in self.policy_args.keys().filter(|name| !known.contains(&name.as_str())) {
            let (name, policy) = (name.escape_debug(), self.policy.escape_debug());
            let message = format!("policy {policy} has no setting `{name}`");
            problems.at("policy_args", message).help(format!("it has {}", known.join(", ")));
        }
    }

    fn linear_map(&self) -> Option<(&Device, u64)> {
        // In mode writeback a sector may be on the cache device alone.
        (self.mode() != CacheMode::Writeback).then_some((&self.origin, 0))
    }

    fn fresh_map(&self) -> Option<(&Device, u64)> {
        Some((&self.origin, 0))
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::from_sector(&self.origin, 0, size_of)
    }

    fn metadata(&self) -> Vec<Metadata<'_>> {
        vec![Metadata::persistent_data::<MAGIC>(
            &self.metadata,
            "the kernel formats the metadata of an empty cache",
        )]
    }

    /// `__open_metadata` in `drivers/md/dm-cache-metadata.c`; `struct cache_disk_superblock` has the offsets.
    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        let head = on_disk.first()?;
        if le32(head, 4)? & NEEDS_CHECK != 0 {
            return Some(Contradiction::Repair(Repair::of_cache(Damage::NeedsCheck)));
        }
        let block = Sectors(u64::from(le32(head, 232)?));
        let known = Some(block).filter(|block| block.0 > 0)?;
        Contradiction::field(&self.metadata, "the cache's metadata", "block_size", &known, &self.block_size)
    }

    /// The metadata counts the blocks of the cache device (`cache_blocks`), and the kernel lets go of those behind a smaller
    /// size unless one is dirty: then it refuses the resume, and marks the metadata (`dm_cache_resize` in
    /// `drivers/md/dm-cache-metadata.c`). Which are dirty is not in the superblock.
    fn needs(&self, on_disk: &OnDisk<'_>, state: Option<&dyn State>) -> Vec<Need<'_>> {
        let head = on_disk.first();
        let own =
            head.and_then(|head| Need::of_space_map(&self.metadata, head, 64, "the metadata of the cache"));
        let counted = || {
            let head = head?;
            let blocks = u64::from(le32(head, 240)?);
            blocks.checked_mul(u64::from(le32(head, 232)?)).filter(|least| *least > 0)
        };
        let least = state.and_then(State::in_use).or_else(counted);
        let left = match state {
            Some(state) => state.left(),
            None if self.mode() == CacheMode::Writeback => Some(Left::Untold(Unfinished::DirtyBlocks)),
            None => None,
        };
        let remedy = "give it its size back; to have a smaller one set policy = \"cleaner\", apply, wait with `dmctl wait`, \
                      and make the cache on other metadata";
        let blocks = least.map(|least| Need { device: &self.cache, least, of: "the cache", left, remedy });
        blocks.into_iter().chain(own).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::targets::Found;
    use crate::targets::kit::{self, device};

    fn caches() -> impl Strategy<Value = Cache> {
        let devices = (device(), device(), device());
        let policy = prop::sample::select(vec!["default", "mq", "smq", "cleaner"]);
        let args = prop::collection::btree_map("[a-z_]{1,12}", 0..1u64 << 63, 0..4);
        let mode = prop::option::of(prop::sample::select(CacheMode::ALL));
        (devices, 1u64..=32768, mode, any::<bool>(), any::<bool>(), policy, args).prop_map(
            |(devices, blocks, mode, metadata2, no_discard_passdown, policy, policy_args)| Cache {
                metadata: devices.0,
                cache: devices.1,
                origin: devices.2,
                block_size: Sectors(blocks * BLOCK_STEP),
                mode,
                metadata2,
                no_discard_passdown,
                policy: policy.to_string(),
                policy_args,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(cache in caches()) {
            kit::round_trip(&cache)?;
        }
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        let equal = |one, two| kit::compare::<Cache>(one, two).is_equal();
        assert!(equal("1:1 1:2 1:0 64 0 default 0", "1:1 1:2 1:0 064 1 WriteBack smq 0"));
        assert!(!equal("1:1 1:2 1:0 64 0 smq 0", "1:1 1:2 1:0 64 0 smq 2 migration_threshold 1"));
        kit::refused::<Cache>("1:1 1:2 1:0 64 0 foo 0", "policy must be");
        kit::refused::<Cache>("1:1 1:2 1:0 100 0 smq 0", "nearest is 128");
        kit::refused::<Cache>("1:1 1:2 1:0 64 2 writeback writethrough smq 0", "only one of");
        kit::refused::<Cache>("1:1 1:2 1:0 64 1 write smq 0", "no feature");
        kit::refused::<Cache>("1:1 1:2 1:0 64 0 smq 1 migration_threshold", "the row ends");
        kit::refused::<Cache>("1:1 1:2 1:1 64 0 smq 0", "of its own");
        kit::refused::<Cache>("1:1 1:2 1:0 64 0 smq", "is missing");
        kit::refused::<Cache>("1:1 1:2 1:0 64 0 smq 2 random_threshold 4", "has no setting");
        assert!(equal(
            "1:1 1:2 1:0 64 0 mq 2 random_threshold 4",
            "1:1 1:2 1:0 64 0 mq 2 RANDOM_THRESHOLD 04"
        ));
    }

    #[test]
    fn a_mode_that_was_not_given_is_not_printed() {
        for row in ["1:1 1:2 1:0 128 0 cleaner 0", "1:1 1:2 1:0 128 1 metadata2 smq 0"] {
            assert_eq!(kit::print(&kit::parse::<Cache>(row)), row);
        }
        let said = kit::parse::<Cache>("1:1 1:2 1:0 128 1 writeback cleaner 0");
        let unsaid = kit::parse::<Cache>("1:1 1:2 1:0 128 0 cleaner 0");
        assert!(kit::differences(&said, &unsaid).is_equal() && kit::differences(&unsaid, &said).is_equal());
    }

    #[test]
    fn the_magic_is_octal() {
        let cache = kit::parse::<Cache>("1:1 1:2 1:0 64 0 smq 0");
        let mut block = [0; 4096];
        block[32..36].copy_from_slice(&[0x03, 0xc4, 0x18, 0x00]);
        assert_eq!((cache.metadata()[0].look)(&block), Found::Right);
    }
}
