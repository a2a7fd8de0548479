//! `verity`: a read-only device, checked against a tree of hashes. Kernel sources:
//! `drivers/md/dm-verity-target.c`, `drivers/md/dm-verity-fec.c`.

mod state;

mod check;
mod compare;
mod fec;
#[cfg(test)]
mod tests;
mod tree;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::choice::choice;
use super::{
    Block, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, FreshRow, LiveRow, Mode, NoRoom, Options,
    ParamsError, Printer, Problems, RemainingLength, SizeOf, SizeTaken, State, Status, Syntax, Target,
    TargetKind, Traits, Words, alternatives, in_whole_blocks, option, part,
};
use crate::device::Device;
use crate::units::{Bytes, SECTOR};
use fec::{Fec, FecWords};

/// A read-only device, every block of which is checked against a tree of hashes when it is read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    /// The salt, as hex; left out if there is no salt.
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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

choice! {
    /// What becomes of a block whose hash is wrong.
    OnCorruption {
        /// It is logged and read as it is.
        Ignore = "ignore",
        /// The machine restarts.
        Restart = "restart",
        /// The kernel panics.
        Panic = "panic",
    }
}

choice! {
    /// What becomes of an I/O error.
    OnError {
        /// The machine restarts.
        Restart = "restart",
        /// The kernel panics.
        Panic = "panic",
    }
}

fn one() -> u32 {
    1
}

fn block() -> Bytes {
    Bytes(4096)
}

/// The beginning of the message for an unknown option.
const UNKNOWN: &str = "verity has no option {}";
/// The message for a second choice of what becomes of a block or an error.
const ONE_CHOICE: &str = "only one of ignore, restart and panic can be asked for, and once";

impl Verity {
    /// `fec` takes four of these words, which have a table of their own.
    const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Spaced { unknown: UNKNOWN, ignore_case: true },
        all: &[
            alternatives!(on_corruption:
                "ignore_corruption" => Some(OnCorruption::Ignore),
                "restart_on_corruption" => Some(OnCorruption::Restart),
                "panic_on_corruption" => Some(OnCorruption::Panic),
            )
            .exclusive(ONE_CHOICE)
            .tune(),
            alternatives!(on_error:
                "restart_on_error" => Some(OnError::Restart),
                "panic_on_error" => Some(OnError::Panic),
            )
            .exclusive(ONE_CHOICE)
            .tune(),
            option!(ignore_zero_blocks).tune(),
            option!(check_at_most_once).tune(),
            option!(try_verify_in_tasklet).tune(),
            part!(fec: FecWords).tune(),
            option!(root_hash_sig_key_desc).noun("the description of a key").tune(),
        ],
    };

    /// Returns the salt as the kernel prints it.
    fn salt(&self) -> String {
        self.salt.as_deref().filter(|salt| !salt.is_empty()).unwrap_or("-").to_ascii_lowercase()
    }

    /// Returns how many sectors a block of data has.
    fn step(&self) -> u64 {
        (self.data.block_size.0 / SECTOR).max(1)
    }

    /// Returns the length of a hash in bytes: the root is one.
    fn digest(&self) -> u64 {
        self.root_hash.len() as u64 / 2
    }

    /// Returns the number of blocks of hashes, where the number of data blocks is known.
    fn hash_blocks(&self) -> Option<u64> {
        tree::blocks(self.data.blocks?, self.hash.block_size.0, self.digest())
    }
}

impl TargetKind for Verity {
    const NAME: &'static str = "verity";
    const TRAITS: Traits = Traits {
        status: Status::Always,
        singleton: true,
        immutable: true,
        mode: Mode::ReadOnly,
        ..Traits::EARLY
    };
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
            ..Self::default()
        };
        let mut options = words.counted("options")?;
        let fec = Self::OPTIONS.parse_with_part(&mut verity, &FecWords::OPTIONS, &mut options)?;
        verity.fec = fec.finish(&options)?;
        Ok(verity)
    }

    fn print(&self, out: &mut Printer) {
        out.word(self.version).device(&self.data.device).device(&self.hash.device);
        out.word(self.data.block_size).word(self.hash.block_size);
        match self.data.blocks {
            Some(blocks) => out.word(blocks),
            // Not filled in yet: a word that no kernel takes for a number.
            None => out.word("-"),
        };
        out.word(self.hash.start).word(&self.algorithm);
        out.word(self.root_hash.to_ascii_lowercase()).word(self.salt());
        out.counted(|out| Self::OPTIONS.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        compare::compare(self, live, differences);
    }
}

impl Target for Verity {
    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(self, words)
    }

    fn fresh_state(&self, _: FreshRow<'_>) -> String {
        "V".to_string()
    }

    /// The constructor refuses hashes, and parity, that reach behind the end of their device (`verity_ctr` and
    /// `verity_fec_ctr`).
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let start = self.hash.start.saturating_mul(self.hash.block_size.0) / SECTOR;
        let hashes = self.hash_blocks().map(|blocks| blocks.saturating_mul(self.hash.block_size.0) / SECTOR);
        let read = |device, start, length| DeviceUse {
            start,
            length,
            ..DeviceUse::whole(device, DeviceAccess::Read).taking_size(SizeTaken::Checked)
        };
        let mut lowers = smallvec![
            read(&self.data.device, 0, Some(length)).in_units(self.step()),
            read(&self.hash.device, start, hashes).apart().in_units(self.hash.block_size.0 / SECTOR),
        ];
        lowers.extend(self.fec.as_ref().map(|fec| {
            let start = fec.start.saturating_mul(self.data.block_size.0) / SECTOR;
            read(&fec.device, start, None).apart()
        }));
        lowers
    }

    /// `verity_io_hints`.
    fn logical_block(&self, lower: u64) -> u64 {
        lower.max(self.step())
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
            return length.ok_or(NoRoom::TooManyBlocks(blocks)).into();
        }
        RemainingLength::of_size(&self.data.device, size_of, |size| {
            in_whole_blocks(size, step).ok_or_else(|| NoRoom::LessThanBlock {
                device: (&self.data.device).into(),
                size,
                block: Block::Bytes(self.data.block_size.0),
            })
        })
    }
}
