//! `integrity`: a tag beside every block, and a journal that keeps the two in step. Kernel source:
//! `drivers/md/dm-integrity.c`.
//!
//! The kernel prints far more than was loaded: defaults, values that it rounded, and what the superblock holds
//! whatever the table asked for. `compare.rs` tells them apart.

mod state;

mod algorithm;
mod check;
mod compare;
mod layout;
mod superblock;
#[cfg(test)]
mod tests;

pub(crate) use algorithm::Algorithm;
pub(crate) use layout::{Layout, Sizes};

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    Block, Contradiction, DeviceAccess, DeviceUse, DeviceUses, Differences, Doc, FieldValue, FreshRow,
    KeptTags, LiveRow, Metadata, NoRoom, OnDisk, Options, OwnIo, ParamsError, Printer, Problems,
    RemainingLength, SizeOf, SizeTaken, State, Status, Syntax, Target, TargetKind, Traits, Words,
    in_whole_blocks, keyed, option,
};
use crate::device::Device;
use crate::keys::KeySlot;
use crate::units::{Bytes, SECTOR, Sectors};

/// The first bytes of the superblock (`SB_MAGIC`).
const MAGIC: &[u8] = b"integrt\0";
/// The size of the superblock in bytes (`SB_SECTORS`).
const SUPERBLOCK: usize = 4096;
/// The offset of `provided_data_sectors` in the superblock, in bytes.
const PROVIDED: usize = 16;

/// A device with a tag beside every block, which is checked at every read.
///
/// The size that it offers is known only once it is formatted. With `length` left out it is loaded with one block
/// first, which formats it, and then with all that it offers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Integrity {
    /// The device that holds the data, and the tags too unless `meta_device` does.
    pub device: Device,
    /// How many sectors at the start of the device with the tags are left alone. The superblock is behind
    /// them.
    #[serde(default)]
    pub reserved: Sectors,
    /// How long a tag is, in bytes, from 1 to 255; by default as long as what `internal_hash` makes. Fixed
    /// when the device is formatted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag_size: Option<u32>,
    /// How data and tags are kept in step.
    #[serde(default)]
    pub mode: Mode,
    /// A device for the tags and the journal. Fixed when the device is formatted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_device: Option<Device>,
    /// How much data one tag covers, in bytes: a power of two from 512 to 4096, default 512. Fixed when the
    /// device is formatted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_size: Option<Bytes>,
    /// How long the journal is, rounded down to whole sections. Fixed when the device is formatted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_sectors: Option<Sectors>,
    /// How much data stands between two areas of tags, rounded down to a power of two, default 32768.
    /// Fixed when the device is formatted; without meaning with `meta_device`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interleave_sectors: Option<Sectors>,
    /// How much of the tags is read and written as one, rounded down to a power of two, default 128.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buffer_sectors: Option<Sectors>,
    /// How full the journal is when it begins to be written back, in percent, default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_watermark: Option<u32>,
    /// After how long the journal is written when nothing flushes it, in milliseconds, default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit_time: Option<u32>,
    /// The hash that makes the tags, `"crc32c"` or `{ algorithm = "hmac(sha256)", key = ... }`. Without one
    /// the tags are made by the target above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub internal_hash: Option<Algorithm>,
    /// A cipher for the journal, such as `{ algorithm = "ctr(aes)", key = ... }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_crypt: Option<Algorithm>,
    /// A hash that protects the journal, such as `{ algorithm = "hmac(sha256)", key = ... }`. Whether there
    /// is one is fixed when the device is formatted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_mac: Option<Algorithm>,
    /// In bitmap mode: how many sectors a bit stands for, rounded down to a power of two, default 32768. The
    /// kernel takes more where the bitmap wouldn't fit the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sectors_per_bit: Option<Sectors>,
    /// In bitmap mode: how often the bitmap is written, in milliseconds, default 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitmap_flush_interval: Option<u32>,
    /// Passes discards on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_discards: bool,
    /// Recalculates all tags in the background. An order carried out once: it is never compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recalculate: bool,
    /// Recalculates all tags, from the start, at each load. It is never compared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset_recalculate: bool,
    /// Pads areas of tags no more than needed. Takes effect when the device is formatted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fix_padding: bool,
    /// Includes the number of the section in the MAC of the journal, and the superblock in its own. Takes
    /// effect when the device is formatted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fix_hmac: bool,
    /// Lets tags be recalculated even with a keyed hash, which an attacker could make use of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub legacy_recalculate: bool,
}

/// How data and tags are kept in step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Both go through a journal.
    #[default]
    Journal,
    /// A bitmap tells which tags to recalculate after a crash.
    Bitmap,
    /// Written directly: a crash may leave the two apart.
    Direct,
    /// Tags are not checked and the journal is not replayed; for rescue.
    Recovery,
    /// The disk itself keeps the tags. From Linux 6.12 on.
    Inline,
}

impl Mode {
    const LETTERS: [(Self, &'static str, &'static str); 5] = [
        (Self::Journal, "J", "journal"),
        (Self::Bitmap, "B", "bitmap"),
        (Self::Direct, "D", "direct"),
        (Self::Recovery, "R", "recovery"),
        (Self::Inline, "I", "inline"),
    ];

    fn row(self) -> (Self, &'static str, &'static str) {
        Self::LETTERS.into_iter().find(|(mode, ..)| *mode == self).unwrap_or(Self::LETTERS[0])
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.row().2)
    }
}

impl FieldValue for Mode {}

impl Integrity {
    const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Colon { flags_ignore_case: false },
        all: &[
            option!(meta_device),
            option!(block_size),
            option!(recalculate),
            option!(reset_recalculate),
            option!(allow_discards).tune(),
            option!(journal_sectors).range(1, u32::MAX as u64),
            option!(interleave_sectors).range(1, u32::MAX as u64),
            option!(buffer_sectors).range(1, u32::MAX as u64),
            option!(journal_watermark).range(0, 100),
            option!(commit_time),
            option!(sectors_per_bit).range(1, 1 << 53),
            option!(bitmap_flush_interval),
            option!(fix_padding),
            option!(fix_hmac),
            option!(legacy_recalculate).tune(),
            option!(internal_hash),
            option!(journal_crypt),
            option!(journal_mac),
        ],
    };

    /// Lists the algorithms with their fields, in the order in which the kernel prints them.
    fn algorithms(&self) -> [(&'static str, Option<&Algorithm>); 3] {
        [
            ("internal_hash", self.internal_hash.as_ref()),
            ("journal_crypt", self.journal_crypt.as_ref()),
            ("journal_mac", self.journal_mac.as_ref()),
        ]
    }

    /// Returns the tag size: the field, or the size of the hash where that is known.
    fn tag(&self) -> Option<u32> {
        let digest = || u32::try_from(self.internal_hash.as_ref()?.digest()?).ok();
        self.tag_size.or_else(digest)
    }

    /// Returns how many sectors one tag covers.
    fn sectors_per_block(&self) -> u64 {
        self.block_size.map_or(1, |size| (size.0 / SECTOR).max(1))
    }
}

impl TargetKind for Integrity {
    const NAME: &'static str = "integrity";
    const TRAITS: Traits = Traits { status: Status::Always, singleton: true, secret: true, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "A device with a tag beside every block, which is checked at every read. Its size is known only \
                  once it is formatted: leave `length` out to get all of it, and to let it grow with the device below. \
                  New blocks read as errors until they are written.",
        since: "4.12",
        writes: "The superblock and an empty journal, when the superblock is all zero.",
        changes: "tag_size, block_size, meta_device and whether there is a journal_mac are fixed when the device is \
                  formatted (`remap`, by way of a new device); journal_sectors, interleave_sectors and the fixes too, and the \
                  kernel ignores another value. Another algorithm or key makes the tags wrong (`remap`). Mode and the rest \
                  are a `reload`.",
        example: "type = \"integrity\"\nlength = 8\ndevice = \"/dev/disk/by-id/disk-a\"\nmode = \
                  \"bitmap\"\ninternal_hash = \"crc32c\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let device = keyed::device(words)?;
        let reserved = words.sectors("the reserved sectors")?;
        let tag_size = match words.peek() {
            Some("-") => {
                words.next("the tag size")?;
                None
            }
            _ => Some(words.number("the tag size")?),
        };
        let letter = words.next("the mode")?;
        let (mode, ..) = Mode::LETTERS
            .into_iter()
            .find(|(_, known, _)| *known == letter)
            .ok_or_else(|| words.wrong("the mode must be J, B, D, R or I"))?;
        if words.left() == 0 {
            words.next("the count of options")?;
        }
        let mut integrity = Self { device, reserved, tag_size, mode, ..Self::default() };
        Self::OPTIONS.parse(&mut integrity, &mut words.always_counted("options")?)?;
        // The kernel takes 0 for 1, and writes that; an interleave of 0 is the default.
        let sectors =
            [&mut integrity.journal_sectors, &mut integrity.buffer_sectors, &mut integrity.sectors_per_bit];
        for sectors in sectors.into_iter().flatten() {
            sectors.0 = sectors.0.max(1);
        }
        integrity.interleave_sectors = integrity.interleave_sectors.filter(|sectors| sectors.0 > 0);
        Ok(integrity)
    }

    fn print(&self, out: &mut Printer) {
        out.device(&self.device).word(self.reserved);
        match self.tag_size {
            Some(size) => out.word(size),
            None => out.word("-"),
        };
        out.word(self.mode.row().1).always_counted(|out| Self::OPTIONS.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        compare::compare(self, live, differences);
    }

    fn redact(params: &str) -> String {
        keyed::redact_words(params, |_, word| {
            let mut parts = word.splitn(3, ':');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(name), Some(algorithm), Some(_)) if name != "meta_device" => {
                    format!("{name}:{}:{}", keyed::redact_digits(algorithm), crate::secret::REDACTED)
                }
                _ => keyed::redact_digits(word),
            }
        })
    }
}

impl Target for Integrity {
    /// Without an `internal_hash` the tags are for a device above (`dm_integrity_set`).
    fn kept_tags(&self) -> Option<KeptTags> {
        let size = self.tag_size.filter(|_| self.internal_hash.is_none())?;
        Some(KeptTags { size, block: self.block_size.map_or(SECTOR, |block| block.0) })
    }

    fn read_state(&self, words: &mut Words<'_>, _: LiveRow) -> Result<Box<dyn State>, ParamsError> {
        state::read(words)
    }

    fn fresh_state(&self, row: FreshRow<'_>) -> String {
        state::fresh(row.length, self.recalculate)
    }

    fn copies_unasked(&self) -> bool {
        self.recalculate
    }

    fn writes_unasked(&self) -> bool {
        true
    }

    /// The constructor computes from both sizes how much data there is room for (`get_provided_data_sectors` in
    /// `drivers/md/dm-integrity.c`), and refuses a longer row.
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        let tags = |device| {
            let whole = DeviceUse::whole(device, DeviceAccess::Write).taking_size(SizeTaken::Checked);
            DeviceUse { start: self.reserved.0, ..whole }.with_own_io(OwnIo::Flushed)
        };
        let Some(meta) = &self.meta_device else {
            return smallvec![tags(&self.device)];
        };
        // A recalculation reads the data, and a suspend waits for its last read (`dm_integrity_postsuspend`).
        let own_io = if self.recalculate { OwnIo::Copies } else { OwnIo::Never };
        let data = DeviceUse::write(&self.device, 0, length).with_own_io(own_io);
        smallvec![data.taking_size(SizeTaken::Checked), tags(meta).apart()]
    }

    /// A `block_size` above a sector is set as it is, even where the disk has larger ones (`dm_integrity_io_hints`).
    fn logical_block(&self, lower: u64) -> u64 {
        Some(self.sectors_per_block()).filter(|own| *own > 1).unwrap_or(lower)
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        std::iter::once(&mut self.device).chain(&mut self.meta_device).collect()
    }

    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        let hash = self.internal_hash.iter_mut().map(|hash| hash.slot("internal_hash.key", false));
        let crypt = self.journal_crypt.iter_mut().map(|cipher| cipher.slot("journal_crypt.key", true));
        let mac = self.journal_mac.iter_mut().map(|hash| hash.slot("journal_mac.key", false));
        hash.chain(crypt).chain(mac).collect()
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        self.check_all(length, problems);
    }

    /// With `meta_device`, all of the data device. Without one, tags and journal take a part of it, and only the
    /// superblock knows how much is left.
    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        if self.meta_device.is_none() {
            return RemainingLength::NotApplicable;
        }
        RemainingLength::of_size(&self.device, size_of, |size| {
            in_whole_blocks(size, self.sectors_per_block()).ok_or_else(|| NoRoom::LessThanBlock {
                device: (&self.device).into(),
                size,
                block: Block::Untold,
            })
        })
    }

    fn first_length(&self) -> Option<u64> {
        self.meta_device.is_none().then(|| self.sectors_per_block())
    }

    fn leaves_blank(&self) -> bool {
        self.mode == Mode::Recovery
    }

    fn length_on_disk(&self, on_disk: &OnDisk<'_>) -> Option<u64> {
        self.provided(on_disk)
    }

    /// In recovery mode the kernel reads a superblock and writes none.
    fn metadata(&self) -> Vec<Metadata<'_>> {
        let recovers = self.mode == Mode::Recovery;
        vec![Metadata {
            device: self.meta_device.as_ref().unwrap_or(&self.device),
            offset: self.reserved.bytes(),
            length: SUPERBLOCK,
            look: if recovers { superblock::look_in_recovery } else { superblock::look },
            is_copy: false,
            otherwise: if recovers { superblock::FATAL_IN_RECOVERY } else { superblock::FORMATS },
        }]
    }

    fn contradiction(&self, on_disk: &OnDisk<'_>) -> Option<Contradiction> {
        superblock::contradiction(self, on_disk)
    }
}
