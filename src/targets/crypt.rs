//! `crypt`: encryption by the kernel's crypto API. Kernel source: `drivers/md/dm-crypt.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DeviceUse, Differences, Doc, Effect, FieldValue, ParamsError, Printer, Problems, RemainingLength, SizeOf,
    Target, TargetKind, Traits, Words, in_whole_blocks, keyed,
};
use crate::device::Device;
use crate::keys::{Key, KeySizes, KeySlot, KeySource, cipher_problem};
use crate::units::{Bytes, SECTOR, Sectors};

/// The longest integrity tag of a sector, in bytes (`MAX_TAG_SIZE`).
const MAX_TAG: u64 = 480;

/// A run of sectors of one device, encrypted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Crypt {
    /// The cipher, as `cipher[:keycount]-mode-ivmode[:ivopts]` or `capi:spec-ivmode[:ivopts]`. The kernel
    /// keeps it word for word: `aes` and `aes-cbc-plain` are one cipher with two names, and differ here.
    pub cipher: String,
    /// Where the key comes from: `{ file = "/path" }`, with `encoding = "hex"` where the file holds text;
    /// `{ keyring = "logon:description", bytes = 64 }`; `{ credential = "name" }`; or the key itself,
    /// `{ hex = "..." }`, in a file that only its owner can read. Only `cipher_null` has none.
    #[serde(default, skip_serializing_if = "Key::is_none")]
    pub key: Key,
    /// Added to the number of a sector before its IV is made, in sectors; a multiple of `sector_size`.
    #[serde(default)]
    pub iv_offset: Sectors,
    /// The device that holds the encrypted sectors.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
    /// How much is encrypted as one, in bytes: a power of two from 512 to 4096, default 512. The length of
    /// the row is a multiple of it.
    #[serde(default = "sector", skip_serializing_if = "is_sector")]
    pub sector_size: Bytes,
    /// Passes discards on; they tell which sectors are in use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_discards: bool,
    /// Encrypts on the CPU that the request came from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same_cpu_crypt: bool,
    /// Runs the work queues at high priority. From Linux 6.10 on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub high_priority: bool,
    /// Submits writes from the CPUs that encrypted them, without sorting them in a thread of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub submit_from_crypt_cpus: bool,
    /// Decrypts at once instead of in a work queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_read_workqueue: bool,
    /// Encrypts at once instead of in a work queue. The kernel always does so on a zoned device: write it
    /// there, for it shows in the table.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_write_workqueue: bool,
    /// Counts IVs in units of `sector_size` instead of 512 bytes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub iv_large_sectors: bool,
    /// Keeps a tag with each sector, on a device below that stores it (an `integrity` target).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Tag>,
    /// How many bytes of the key are for authentication, where the cipher alone doesn't tell. From Linux
    /// 6.11 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integrity_key_size: Option<u32>,
}

/// The tag that is kept with a sector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    /// How long it is, in bytes, from 1 to 480.
    pub tag_size: u32,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: TagKind,
}

/// What the tag of a sector holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TagKind {
    /// The IV, without authentication.
    None,
    /// What an AEAD cipher makes, and the IV.
    Aead,
}

impl TagKind {
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Aead => "aead",
        }
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.tag_size, self.kind.word())
    }
}

impl FieldValue for Tag {}

fn sector() -> Bytes {
    Bytes(SECTOR)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_sector(size: &Bytes) -> bool {
    size.0 == SECTOR
}

impl Crypt {
    /// How many sectors are encrypted as one.
    fn step(&self) -> u64 {
        (self.sector_size.0 / SECTOR).max(1)
    }

    fn key_sizes(&self) -> KeySizes {
        KeySizes::of_cipher(&self.cipher, self.integrity_key_size.and_then(|size| usize::try_from(size).ok()))
    }

    /// The flags in the kernel's order: the word, and whether it is set.
    fn flags(&self) -> [(&'static str, bool); 6] {
        [
            ("allow_discards", self.allow_discards),
            ("same_cpu_crypt", self.same_cpu_crypt),
            ("high_priority", self.high_priority),
            ("submit_from_crypt_cpus", self.submit_from_crypt_cpus),
            ("no_read_workqueue", self.no_read_workqueue),
            ("no_write_workqueue", self.no_write_workqueue),
        ]
    }

    fn option(&mut self, words: &mut Words<'_>) -> Result<(), ParamsError> {
        let word = words.next("an option")?;
        let flag = match word.to_ascii_lowercase().as_str() {
            "allow_discards" => &mut self.allow_discards,
            "same_cpu_crypt" => &mut self.same_cpu_crypt,
            "high_priority" => &mut self.high_priority,
            "submit_from_crypt_cpus" => &mut self.submit_from_crypt_cpus,
            "no_read_workqueue" => &mut self.no_read_workqueue,
            "no_write_workqueue" => &mut self.no_write_workqueue,
            "iv_large_sectors" => &mut self.iv_large_sectors,
            _ => return self.option_with_value(word, words),
        };
        *flag = true;
        Ok(())
    }

    fn option_with_value(&mut self, word: &str, words: &Words<'_>) -> Result<(), ParamsError> {
        match word.split_once(':') {
            Some(("sector_size", value)) => {
                self.sector_size = Bytes(words.to_number(value, "sector_size")?);
            }
            Some(("integrity_key_size", value)) => {
                self.integrity_key_size = Some(words.to_number(value, "integrity_key_size")?);
            }
            Some(("integrity", value)) => {
                let (size, kind) = value.split_once(':').unwrap_or((value, ""));
                let kind = match kind.to_ascii_lowercase().as_str() {
                    "none" => TagKind::None,
                    "aead" => TagKind::Aead,
                    _ => return Err(words.wrong("integrity must be `integrity:BYTES:none` or `:aead`")),
                };
                self.integrity = Some(Tag { tag_size: words.to_number(size, "the size of a tag")?, kind });
            }
            _ => {
                return Err(words.wrong(
                    "this option is unknown; there are allow_discards, same_cpu_crypt, high_priority, \
                     submit_from_crypt_cpus, no_read_workqueue, no_write_workqueue, integrity:, sector_size:, \
                     iv_large_sectors and integrity_key_size:",
                ));
            }
        }
        Ok(())
    }
}

impl TargetKind for Crypt {
    const NAME: &'static str = "crypt";
    const TRAITS: Traits = Traits { secret: true, ..Traits::EARLY };
    const DOC: Doc = Doc {
        summary: "A run of sectors of one device, encrypted.",
        since: "2.6",
        writes: "Nothing.",
        changes: "Another cipher, key, iv_offset, sector_size, device or offset makes what is on disk unreadable \
                  (`remap`); the kernel doesn't warn. The other options are a `reload`.",
        example: "type = \"crypt\"\nlength = \"1GiB\"\ncipher = \"aes-xts-plain64\"\nkey = { file = \
                  \"/etc/dmctl/keys/data\" }\ndevice = \"/dev/disk/by-id/disk-a\"\nallow_discards = true",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let cipher = words.next("the cipher")?.to_string();
        let mut key = keyed::parse(words)?;
        if let KeySource::Hex(secret) = key.source {
            key = KeySource::Hex(secret.lower_case()).into();
        }
        let mut crypt = Self {
            cipher,
            key,
            // Any number will do: the kernel only counts on from it.
            iv_offset: Sectors(words.number("iv_offset")?),
            device: keyed::device(words)?,
            offset: words.sectors("the offset")?,
            sector_size: sector(),
            allow_discards: false,
            same_cpu_crypt: false,
            high_priority: false,
            submit_from_crypt_cpus: false,
            no_read_workqueue: false,
            no_write_workqueue: false,
            iv_large_sectors: false,
            integrity: None,
            integrity_key_size: None,
        };
        let mut options = words.counted("options")?;
        while options.left() > 0 {
            crypt.option(&mut options)?;
        }
        Ok(crypt)
    }

    fn print(&self, out: &mut Printer) {
        out.word(&self.cipher);
        keyed::print(out, &self.key);
        out.word(self.iv_offset).device(&self.device).word(self.offset).counted(|out| {
            for (word, set) in self.flags() {
                out.flag(set, word);
            }
            if let Some(tag) = &self.integrity {
                out.word(format_args!("integrity:{tag}"));
            }
            if !is_sector(&self.sector_size) {
                out.word(format_args!("sector_size:{}", self.sector_size));
            }
            out.flag(self.iv_large_sectors, "iv_large_sectors");
            if let Some(size) = self.integrity_key_size {
                out.word(format_args!("integrity_key_size:{size}"));
            }
        });
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        const NOISE: &str = "what is on disk then reads as noise";
        let remap = Effect::Remap;
        differences.field_with_reason("cipher", &self.cipher, &live.cipher, remap, NOISE);
        keyed::compare(differences, "key", &self.key, &live.key);
        differences.field_with_reason("iv_offset", &self.iv_offset, &live.iv_offset, remap, NOISE);
        differences.field("device", &self.device, &live.device, remap);
        differences.field("offset", &self.offset, &live.offset, remap);
        differences.field_with_reason("sector_size", &self.sector_size, &live.sector_size, remap, NOISE);
        differences.field_with_reason(
            "iv_large_sectors",
            &self.iv_large_sectors,
            &live.iv_large_sectors,
            remap,
            NOISE,
        );
        differences.optional("integrity", self.integrity.as_ref(), live.integrity.as_ref(), remap);
        let mac = |crypt: &Self| crypt.integrity_key_size;
        differences.optional("integrity_key_size", mac(self).as_ref(), mac(live).as_ref(), remap);
        for ((field, wanted), (_, live)) in self.flags().into_iter().zip(live.flags()) {
            differences.field(field, &wanted, &live, Effect::Tune);
        }
    }

    fn redact(params: &str) -> String {
        keyed::redact_second(params)
    }
}

impl Target for Crypt {
    fn lower_devices(&self, length: u64) -> Vec<DeviceUse<'_>> {
        vec![DeviceUse::write(&self.device, self.offset.0, length)]
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        let sizes = self.key_sizes();
        vec![KeySlot { field: "key", key: &mut self.key, sizes }]
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        problems.word("cipher", &self.cipher);
        if let Some(problem) = cipher_problem(&self.cipher) {
            problems.at("cipher", problem);
        }
        keyed::check(&self.key, &self.key_sizes(), "key", &self.cipher, problems);
        problems.power_of_two("sector_size", self.sector_size.0, SECTOR, 4096);
        if let Some(tag) = &self.integrity {
            problems.range("integrity.tag_size", tag.tag_size.into(), 1, MAX_TAG);
        }
        if let Some(size) = self.integrity_key_size {
            problems.range("integrity_key_size", size.into(), 1, u32::MAX.into());
        }
        let step = self.step();
        if !self.iv_offset.0.is_multiple_of(step) {
            problems.multiple("iv_offset", self.iv_offset.0, step, 0, u64::MAX / step * step);
        }
        if let Some(length) = length.filter(|length| !length.is_multiple_of(step)) {
            let nearest = (length / step * step).max(step);
            let message =
                format!("length must be a multiple of sector_size ({step} sectors), {length} is not");
            problems.at("length", message).nearest(nearest);
        }
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        RemainingLength::of_size(&self.device, size_of, |size| {
            in_whole_blocks(size.saturating_sub(self.offset.0), self.step()).ok_or_else(|| {
                format!(
                    "{} has {size} sectors: from sector {} on there is not one whole sector of {} bytes left",
                    self.device, self.offset, self.sector_size
                )
            })
        })
    }
}

#[cfg(test)]
mod tests;
