//! `verity`: a read-only device, checked against a tree of hashes. Kernel sources:
//! `drivers/md/dm-verity-target.c`, `drivers/md/dm-verity-fec.c`.

mod check;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DeviceAccess, DeviceUse, Differences, Doc, Effect, FieldValue, Mode, ParamsError, Printer, Problems,
    RemainingLength, SizeOf, Target, TargetKind, Traits, Words, in_whole_blocks,
};
use crate::device::Device;
use crate::units::{Bytes, SECTOR};

/// A read-only device, every block of which is checked against a tree of hashes when it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verity {
    /// The format of the hashes: 1 (default), or 0 as the first Chromium OS had it.
    #[serde(default = "one")]
    pub version: u32,
    /// What is read.
    pub data: Data,
    /// The tree of hashes.
    pub hash: Hash,
    /// The hash, such as `sha256`. Case matters, and `sha256-generic` is another.
    pub algorithm: String,
    /// The root of the tree, as hex: what is trusted.
    pub root_hash: String,
    /// The salt, as hex; left out when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// What becomes of a block whose hash is wrong; by default its read fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_corruption: Option<OnCorruption>,
    /// What becomes of an I/O error; by default the read fails. From Linux 6.12 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// Blocks that should be zero are not read, and give zeros.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_zero_blocks: bool,
    /// A block is checked the first time it is read, and trusted from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub check_at_most_once: bool,
    /// Hashes that are in memory are checked at once, without a work queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub try_verify_in_tasklet: bool,
    /// Forward error correction: what is wrong is mended from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fec: Option<Fec>,
    /// The description of a key of type `user` that holds a signature of the root hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_hash_sig_key_desc: Option<String>,
}

/// What a `verity` reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    /// The device.
    pub device: Device,
    /// The size of a block, in bytes: a power of two from 512 to the size of a page, default 4096.
    #[serde(default = "block")]
    pub block_size: Bytes,
    /// How many blocks the tree covers; by default as many as the row is long, or the device when that is
    /// left out too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<u64>,
}

/// Where the hashes of a `verity` are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hash {
    /// The device; it may be that of the data.
    pub device: Device,
    /// The size of a block, in bytes: a power of two, default 4096.
    #[serde(default = "block")]
    pub block_size: Bytes,
    /// The block of `block_size` that the tree starts at: 1 behind the superblock of veritysetup, which is
    /// block 0.
    #[serde(default)]
    pub start: u64,
}

/// Forward error correction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fec {
    /// The device that holds the parity.
    pub device: Device,
    /// How many blocks are covered: data, hashes, and what may stand behind them.
    pub blocks: u64,
    /// The block that the parity starts at.
    #[serde(default)]
    pub start: u64,
    /// How many bytes of parity a code word has, from 2 (default) to 24.
    #[serde(default = "two")]
    pub roots: u32,
}

/// What becomes of a block whose hash is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnCorruption {
    /// It is logged and read as it is.
    Ignore,
    /// The machine restarts.
    Restart,
    /// The kernel panics.
    Panic,
}

/// What becomes of an I/O error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnError {
    /// The machine restarts.
    Restart,
    /// The kernel panics.
    Panic,
}

fn one() -> u32 {
    1
}

fn two() -> u32 {
    2
}

fn block() -> Bytes {
    Bytes(4096)
}

impl fmt::Display for OnCorruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ignore => "ignore",
            Self::Restart => "restart",
            Self::Panic => "panic",
        })
    }
}

impl FieldValue for OnCorruption {}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restart => "restart",
            Self::Panic => "panic",
        })
    }
}

impl FieldValue for OnError {}

impl fmt::Display for Fec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks {} start {} roots {}", self.device, self.blocks, self.start, self.roots)
    }
}

impl FieldValue for Fec {}

/// The words of all options, for the message about an unknown one.
const OPTIONS: [&str; 13] = [
    "ignore_corruption",
    "restart_on_corruption",
    "panic_on_corruption",
    "restart_on_error",
    "panic_on_error",
    "ignore_zero_blocks",
    "check_at_most_once",
    "try_verify_in_tasklet",
    "use_fec_from_device",
    "fec_blocks",
    "fec_start",
    "fec_roots",
    "root_hash_sig_key_desc",
];

/// Sets a choice that can be made once.
fn choose<T>(words: &Words<'_>, choice: &mut Option<T>, made: T) -> Result<(), ParamsError> {
    match choice.replace(made) {
        None => Ok(()),
        Some(_) => Err(words.wrong("only one of ignore, restart and panic can be asked for, and once")),
    }
}

/// The parity options as they come, in any order.
#[derive(Default)]
struct FecWords {
    device: Option<Device>,
    blocks: Option<u64>,
    start: Option<u64>,
    roots: Option<u32>,
}

impl FecWords {
    fn finish(self, words: &Words<'_>) -> Result<Option<Fec>, ParamsError> {
        match self {
            Self { device: None, blocks: None, start: None, roots: None } => Ok(None),
            Self { device: Some(device), blocks: Some(blocks), start, roots } => {
                Ok(Some(Fec { device, blocks, start: start.unwrap_or(0), roots: roots.unwrap_or(2) }))
            }
            _ => Err(words.wrong("error correction needs use_fec_from_device and fec_blocks")),
        }
    }
}

impl Verity {
    fn options(&mut self, words: &mut Words<'_>) -> Result<(), ParamsError> {
        let mut fec = FecWords::default();
        while words.left() > 0 {
            let word = words.next("an option")?.to_ascii_lowercase();
            match word.as_str() {
                "ignore_corruption" => choose(words, &mut self.on_corruption, OnCorruption::Ignore)?,
                "restart_on_corruption" => choose(words, &mut self.on_corruption, OnCorruption::Restart)?,
                "panic_on_corruption" => choose(words, &mut self.on_corruption, OnCorruption::Panic)?,
                "restart_on_error" => choose(words, &mut self.on_error, OnError::Restart)?,
                "panic_on_error" => choose(words, &mut self.on_error, OnError::Panic)?,
                "ignore_zero_blocks" => self.ignore_zero_blocks = true,
                "check_at_most_once" => self.check_at_most_once = true,
                "try_verify_in_tasklet" => self.try_verify_in_tasklet = true,
                "use_fec_from_device" => fec.device = Some(words.device("the device of the parity")?),
                "fec_blocks" => fec.blocks = Some(words.number("fec_blocks")?),
                "fec_start" => fec.start = Some(words.number("fec_start")?),
                "fec_roots" => fec.roots = Some(words.number("fec_roots")?),
                "root_hash_sig_key_desc" => {
                    self.root_hash_sig_key_desc = Some(words.next("the description of a key")?.to_string());
                }
                _ => {
                    let (word, all) = (word.escape_debug(), OPTIONS.join(", "));
                    return Err(words.wrong(format!("verity has no option `{word}`; there are {all}")));
                }
            }
        }
        self.fec = fec.finish(words)?;
        Ok(())
    }

    fn print_options(&self, out: &mut Printer) {
        if let Some(on_corruption) = self.on_corruption {
            out.word(match on_corruption {
                OnCorruption::Ignore => "ignore_corruption",
                OnCorruption::Restart => "restart_on_corruption",
                OnCorruption::Panic => "panic_on_corruption",
            });
        }
        if let Some(on_error) = self.on_error {
            out.word(format_args!("{on_error}_on_error"));
        }
        out.flag(self.ignore_zero_blocks, "ignore_zero_blocks")
            .flag(self.check_at_most_once, "check_at_most_once")
            .flag(self.try_verify_in_tasklet, "try_verify_in_tasklet");
        if let Some(fec) = &self.fec {
            out.word("use_fec_from_device")
                .device(&fec.device)
                .value("fec_blocks", Some(fec.blocks))
                .value("fec_start", Some(fec.start))
                .value("fec_roots", Some(fec.roots));
        }
        out.value("root_hash_sig_key_desc", self.root_hash_sig_key_desc.as_ref());
    }

    /// The salt as the kernel prints it.
    fn salt(&self) -> String {
        self.salt.as_deref().filter(|salt| !salt.is_empty()).unwrap_or("-").to_ascii_lowercase()
    }

    /// How many sectors a block of data has.
    fn step(&self) -> u64 {
        (self.data.block_size.0 / SECTOR).max(1)
    }

    /// How long a hash is, in bytes: the root is one.
    fn digest(&self) -> u64 {
        self.root_hash.len() as u64 / 2
    }

    /// How many blocks of hashes there are, where the number of data blocks is known.
    fn hash_blocks(&self) -> Option<u64> {
        tree::blocks(self.data.blocks?, self.hash.block_size.0, self.digest())
    }
}

impl TargetKind for Verity {
    const NAME: &'static str = "verity";
    const TRAITS: Traits = Traits { singleton: true, immutable: true, mode: Mode::ReadOnly, ..Traits::EARLY };
    const DOC: Doc = Doc {
        summary: "A read-only device, every block of which is checked against a tree of hashes when it is read. Its \
                  mapping is read-only by itself.",
        since: "3.4",
        writes: "Nothing; the tree must be there (`veritysetup format` makes one).",
        changes: "Another device, tree, root_hash or salt shows other data, or none (`remap`). The options are a \
                  `reload`. A live table can only be replaced by another of verity.",
        example: "type = \"verity\"\ndata = { device = \"/dev/disk/by-partlabel/root\", block_size = 4096, blocks = \
                  262144 }\nhash = { device = \"/dev/disk/by-partlabel/root-hash\", block_size = 4096, start = 1 }\n\
                  algorithm = \"sha256\"\nroot_hash = \
                  \"4392712ba01368efdf14b05c76f9e4df0d53664630b5d48632ed17a137f39076\"\nsalt = \"1234\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let version = words.number("the version")?;
        let (data, hash) = (words.device("the data device")?, words.device("the hash device")?);
        let data_size = Bytes(words.number("the size of a data block")?);
        let hash_size = Bytes(words.number("the size of a hash block")?);
        let blocks = Some(words.number("the number of data blocks")?);
        let start = words.number("the start of the hashes")?;
        let algorithm = words.next("the algorithm")?.to_string();
        let root_hash = words.next("the root hash")?.to_ascii_lowercase();
        let salt = words.next("the salt")?.to_ascii_lowercase();
        let mut verity = Self {
            version,
            data: Data { device: data, block_size: data_size, blocks },
            hash: Hash { device: hash, block_size: hash_size, start },
            algorithm,
            root_hash,
            salt: (salt != "-").then_some(salt),
            on_corruption: None,
            on_error: None,
            ignore_zero_blocks: false,
            check_at_most_once: false,
            try_verify_in_tasklet: false,
            fec: None,
            root_hash_sig_key_desc: None,
        };
        verity.options(&mut words.counted("options")?)?;
        Ok(verity)
    }

    fn print(&self, out: &mut Printer) {
        out.word(self.version).device(&self.data.device).device(&self.hash.device);
        out.word(self.data.block_size).word(self.hash.block_size);
        match self.data.blocks {
            Some(blocks) => out.word(blocks),
            // Not settled yet: a word that no kernel takes for a number.
            None => out.word("-"),
        };
        out.word(self.hash.start).word(&self.algorithm);
        out.word(self.root_hash.to_ascii_lowercase()).word(self.salt());
        out.counted(|out| self.print_options(out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        const OTHER_TREE: &str =
            "blocks are checked against another tree, and read as errors where it doesn't fit";
        let remap = Effect::Remap;
        let mut tree = |field: &str, wanted: &dyn FieldValue, live: &dyn FieldValue| {
            differences.field_with_reason(field, &wanted.value(), &live.value(), remap, OTHER_TREE);
        };
        tree("version", &self.version, &live.version);
        tree("data.block_size", &self.data.block_size, &live.data.block_size);
        tree("hash.block_size", &self.hash.block_size, &live.hash.block_size);
        if let (Some(wanted), Some(live)) = (&self.data.blocks, &live.data.blocks) {
            tree("data.blocks", wanted, live);
        }
        tree("hash.start", &self.hash.start, &live.hash.start);
        tree("algorithm", &self.algorithm, &live.algorithm);
        tree("root_hash", &self.root_hash.to_ascii_lowercase(), &live.root_hash.to_ascii_lowercase());
        tree("salt", &self.salt(), &live.salt());
        differences.field("data.device", &self.data.device, &live.data.device, remap);
        differences.field("hash.device", &self.hash.device, &live.hash.device, remap);
        let tune = Effect::Tune;
        differences.optional("on_corruption", self.on_corruption.as_ref(), live.on_corruption.as_ref(), tune);
        differences.optional("on_error", self.on_error.as_ref(), live.on_error.as_ref(), tune);
        differences.field("ignore_zero_blocks", &self.ignore_zero_blocks, &live.ignore_zero_blocks, tune);
        differences.field("check_at_most_once", &self.check_at_most_once, &live.check_at_most_once, tune);
        differences.field(
            "try_verify_in_tasklet",
            &self.try_verify_in_tasklet,
            &live.try_verify_in_tasklet,
            tune,
        );
        differences.optional("fec", self.fec.as_ref(), live.fec.as_ref(), tune);
        differences.optional(
            "root_hash_sig_key_desc",
            self.root_hash_sig_key_desc.as_ref(),
            live.root_hash_sig_key_desc.as_ref(),
            tune,
        );
    }
}

impl Target for Verity {
    fn lower_devices(&self, length: u64) -> Vec<DeviceUse<'_>> {
        let start = self.hash.start.saturating_mul(self.hash.block_size.0) / SECTOR;
        let hashes = self.hash_blocks().map(|blocks| blocks.saturating_mul(self.hash.block_size.0) / SECTOR);
        let read = |device, start, length| DeviceUse { device, start, length, access: DeviceAccess::Read };
        let mut lowers =
            vec![read(&self.data.device, 0, Some(length)), read(&self.hash.device, start, hashes)];
        lowers.extend(self.fec.as_ref().map(|fec| {
            let start = fec.start.saturating_mul(self.data.block_size.0) / SECTOR;
            read(&fec.device, start, None)
        }));
        lowers
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        let fec = self.fec.iter_mut().map(|fec| &mut fec.device);
        [&mut self.data.device, &mut self.hash.device].into_iter().chain(fec).collect()
    }

    fn fill_defaults(&mut self, length: u64) {
        let step = self.step();
        self.data.blocks.get_or_insert(length / step);
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        self.check_all(length, problems);
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let step = self.step();
        if let Some(blocks) = self.data.blocks {
            let length = blocks.checked_mul(step);
            return length.ok_or_else(|| format!("{blocks} blocks are more than a device can have")).into();
        }
        RemainingLength::of_size(&self.data.device, size_of, |size| {
            in_whole_blocks(size, step).ok_or_else(|| {
                let block = self.data.block_size;
                format!("{} has {size} sectors, less than one block of {block} bytes", self.data.device)
            })
        })
    }
}
