//! `inlinecrypt`: encryption by the storage hardware. Kernel source: `drivers/md/dm-inlinecrypt.c`.
//!
//! What this target prints can't be loaded back: a number for the type of the key stands where a load has
//! none, and a key of a keyring comes out as the key itself. So a live one is recognised, its key is hidden,
//! and it is left alone.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::{
    DeviceUse, DeviceUses, Differences, Doc, FieldValue, Incomparable, Options, ParamsError, Printer,
    Problems, Syntax, Target, TargetKind, Traits, Words, alternatives, keyed, option, sector_size,
};
use crate::device::Device;
use crate::keys::{Key, KeySizes, KeySlot, Keyring, SlotForm};
use crate::units::{Bytes, SECTOR, Sectors};

/// The one cipher there is.
const CIPHER: &str = "aes-xts-plain64";

/// A run of sectors of one device, encrypted by the hardware below.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InlineCrypt {
    /// The cipher: `aes-xts-plain64`.
    pub cipher: String,
    /// The key, or where it comes from.
    pub key: Key,
    /// What the key is.
    #[serde(default)]
    pub key_type: KeyType,
    /// Added to the number of a sector before its IV is made, in sectors; a multiple of `sector_size`.
    #[serde(default)]
    pub iv_offset: Sectors,
    /// The device that holds the encrypted sectors.
    pub device: Device,
    /// The first sector used of the device.
    #[serde(default)]
    pub offset: Sectors,
    /// How much is encrypted as one, in bytes: a power of two from 512 to 4096, default 512.
    #[serde(default = "sector_size::default")]
    pub sector_size: Bytes,
    /// Passes discards on; they tell which sectors are in use.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub allow_discards: bool,
    /// Counts IVs in units of `sector_size` instead of 512 bytes; needed where that is more than 512.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub iv_large_sectors: bool,
}

/// What the key of an `inlinecrypt` is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KeyType {
    /// The key itself.
    #[default]
    Raw,
    /// A key that only the hardware can unwrap.
    HwWrapped,
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Raw => "raw",
            Self::HwWrapped => "hw-wrapped",
        })
    }
}

impl FieldValue for KeyType {}

impl InlineCrypt {
    fn key_sizes(&self) -> KeySizes {
        match self.key_type {
            KeyType::Raw => KeySizes::OneOf(vec![64]),
            KeyType::HwWrapped => KeySizes::Any,
        }
    }

    const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Colon { flags_ignore_case: false },
        all: &[
            alternatives!(key_type: "keytype:raw" => KeyType::Raw, "keytype:hw-wrapped" => KeyType::HwWrapped)
                .silent("keytype:raw"),
            option!(allow_discards),
            option!(sector_size).default(SECTOR),
            option!(iv_large_sectors),
        ],
    };
}

impl TargetKind for InlineCrypt {
    const NAME: &'static str = "inlinecrypt";
    const TRAITS: Traits = Traits { secret: true, ..Traits::PLAIN };
    const DOC: Doc = Doc {
        summary: "A run of sectors of one device, encrypted by the storage hardware.",
        since: "7.2",
        writes: "Nothing.",
        changes: "The kernel prints a live one in a form that can't be compared, so it is never reloaded: remove \
                  the mapping and create it again.",
        example: "type = \"inlinecrypt\"\nlength = \"1GiB\"\ncipher = \"aes-xts-plain64\"\nkey = { keyring = \
                  \"logon:data\", bytes = 64 }\ndevice = \"/dev/disk/by-id/disk-a\"",
    };

    fn parse(words: &mut Words<'_>) -> Result<Self, ParamsError> {
        let cipher = words.next("the cipher")?.to_string();
        let key = keyed::parse(words)?;
        let mut iv_offset = words.sectors("iv_offset")?;
        let mut key_type = KeyType::Raw;
        // A second number before the device: this is what the kernel prints, and the first was the type of
        // the key (`BLK_CRYPTO_KEY_TYPE_RAW` is 1, `_HW_WRAPPED` is 2).
        if words.peek().is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit())) {
            if iv_offset.0 == 2 {
                key_type = KeyType::HwWrapped;
            }
            iv_offset = words.sectors("iv_offset")?;
        }
        let mut target = Self {
            cipher,
            key,
            key_type,
            iv_offset,
            device: keyed::device(words)?,
            offset: words.sectors("the offset")?,
            sector_size: sector_size::default(),
            ..Self::default()
        };
        Self::OPTIONS.parse(&mut target, &mut words.counted("options")?)?;
        Ok(target)
    }

    fn print(&self, out: &mut Printer) {
        out.word(&self.cipher);
        keyed::print(out, &self.key);
        out.word(self.iv_offset).device(&self.device).word(self.offset);
        out.counted(|out| Self::OPTIONS.print(self, out));
    }

    fn compare(&self, _: &Self, differences: &mut Differences) {
        differences.unknown(Incomparable::Unreadable(
            "the kernel prints inlinecrypt in a form that can't be told from another key or IV, nor loaded back",
        ));
    }

    fn redact(params: &str) -> String {
        keyed::redact_second(params)
    }
}

impl Target for InlineCrypt {
    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![DeviceUse::write(&self.device, self.offset.0, length)]
    }

    /// `inlinecrypt_io_hints`.
    fn logical_block(&self, lower: u64) -> u64 {
        lower.max(sector_size::sectors(self.sector_size))
    }

    fn devices_mut(&mut self) -> Vec<&mut Device> {
        vec![&mut self.device]
    }

    fn keys_mut(&mut self) -> Vec<KeySlot<'_>> {
        let sizes = self.key_sizes();
        vec![KeySlot { field: "key", key: &mut self.key, sizes, form: SlotForm::Source }]
    }

    fn keyring_keys(&self) -> Vec<&Keyring> {
        self.key.keyring().into_iter().collect()
    }

    fn check(&self, length: Option<u64>, problems: &mut Problems) {
        if self.cipher != CIPHER {
            problems.at("cipher", format!("inlinecrypt knows one cipher, {CIPHER}"));
        }
        keyed::check(&self.key, &self.key_sizes(), "key", CIPHER, problems);
        keyed::refuse_random(&self.key, "key", problems);
        sector_size::check(self.sector_size, problems);
        if self.sector_size.0 > SECTOR && !self.iv_large_sectors {
            problems.at("iv_large_sectors", "a sector_size above 512 needs iv_large_sectors = true");
        }
        let step = sector_size::sectors(self.sector_size);
        for (field, value) in [("iv_offset", Some(self.iv_offset.0)), ("length", length)] {
            if let Some(value) = value.filter(|value| !value.is_multiple_of(step)) {
                problems.at(
                    field,
                    format!("{field} must be a multiple of sector_size ({step} sectors), {value} is not"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::ErasedTarget;
    use super::super::{Style, kit};
    use super::*;

    #[test]
    fn a_wrapped_key_is_told_by_its_number_or_by_a_word() {
        let key = "ab".repeat(64);
        let printed =
            format!("aes-xts-plain64 {key} 2 16 8:0 32 3 allow_discards sector_size:4096 iv_large_sectors");
        assert_eq!(
            kit::print(&kit::parse::<InlineCrypt>(&printed)),
            format!(
                "aes-xts-plain64 {key} 16 8:0 32 4 keytype:hw-wrapped allow_discards sector_size:4096 iv_large_sectors"
            )
        );
    }

    #[test]
    fn a_live_one_is_never_judged() {
        let row = format!("aes-xts-plain64 {} 0 8:0 0", "ab".repeat(64));
        let differences = kit::compare::<InlineCrypt>(&row, &row);
        assert!(differences.unknown.is_some() && differences.fields.is_empty());
    }

    #[test]
    fn no_key_is_shown() {
        let row = format!("aes-xts-plain64 {} 1 0 8:0 0", "ab".repeat(64));
        let target = kit::parse::<InlineCrypt>(&row);
        for shown in [
            InlineCrypt::redact(&row),
            InlineCrypt::redact(&format!("{row} too many")),
            target.params(Style::Shown),
            target.params(Style::Redacted),
            target.fields().to_string(),
        ] {
            assert!(!shown.contains("abab"), "{shown}");
        }
    }

    #[test]
    fn wrong_values_are_found() {
        let check = |row: &str| kit::wrong_fields::<InlineCrypt>(row, Some(9));
        assert_eq!(check(&format!("aes-xts-plain64 {} 0 8:0 0", "ab".repeat(64))), [""; 0]);
        assert_eq!(
            check(&format!("aes-cbc-plain64 {} 1 8:0 0 1 sector_size:4096", "ab".repeat(32))),
            ["cipher", "key", "iv_large_sectors", "iv_offset", "length"]
        );
    }
}
