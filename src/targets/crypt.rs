//! `crypt`: encryption by the kernel's crypto API. Kernel source: `drivers/md/dm-crypt.c`.

mod tag;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use super::integrity::Integrity;
use super::{
    DeviceUse, DeviceUses, Differences, Doc, Effect, MessageForm, NeededBelow, NoRoom, Options, ParamsError,
    Printer, Problems, RemainingLength, SizeOf, State, Syntax, Target, TargetKind, Traits, Unit, Words,
    in_whole_blocks, keyed, of_type, option, redact_unknown, redact_words, sector_size,
};
use crate::device::Device;
use crate::keys::{
    Key, KeySizes, KeySlot, KeySource, Keyring, SlotForm, UnknownName, cipher_problem, iv_mode, unknown_name,
};
use crate::policy::Class;
use crate::units::{Bytes, SECTOR, Sectors};
pub(crate) use tag::Tag;
#[cfg(test)]
pub(crate) use tag::TagKind;

/// The words of the messages that it takes (`crypt_message`).
const ORDERS: [&str; 3] = ["key", "set", "wipe"];

/// A run of sectors of one device, encrypted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Crypt {
    /// The cipher, as `cipher[:keycount]-mode-ivmode[:ivopts]` or `capi:spec-ivmode[:ivopts]`. The kernel
    /// keeps it word for word: `aes` and `aes-cbc-plain` are one cipher with two names, and differ here.
    pub cipher: String,
    /// Where the key comes from: `{ file = "/path" }`, with `encoding = "hex"` where the file holds text;
    /// `{ keyring = "logon:description", bytes = 64 }`; `{ credential = "name" }`; `{ random = 64 }`,
    /// 64 bytes that are drawn whenever the device is made, for swap and scratch; or the key itself,
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
    #[serde(default = "sector_size::default", skip_serializing_if = "sector_size::is_default")]
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

/// What another cipher, IV or sector size makes of the data.
const NOISE: &str = "what is on disk then reads as noise";

impl Crypt {
    fn key_sizes(&self) -> KeySizes {
        KeySizes::of_cipher(&self.cipher, self.integrity_key_size.and_then(|size| usize::try_from(size).ok()))
    }

    /// Checks what some IV modes want beside the cipher (`crypt_iv_lmk_ctr`, `crypt_iv_tcw_ctr`,
    /// `crypt_integrity_ctr`).
    fn check_iv(&self, problems: &mut Problems) {
        match iv_mode(&self.cipher) {
            Some(iv @ ("lmk" | "tcw")) if self.sector_size.0 != SECTOR => {
                let message = format!("the IV mode `{iv}` takes sectors of {SECTOR} bytes alone");
                problems.at("sector_size", message).nearest(SECTOR);
            }
            Some("random") if self.integrity.is_none() => {
                let message = "the IV mode `random` keeps the IV of each sector in its tag";
                problems
                    .at("cipher", message)
                    .help("it needs `integrity`, and a device below that stores tags");
            }
            _ => {}
        }
    }

    /// Whether a random key stays that of the live table: the device is the same one, in use perhaps.
    fn keeps_key(&self, live: &Self) -> bool {
        self.key.is_random() && self.cipher == live.cipher
    }

    const OPTIONS: Options<Self> = Options {
        syntax: Syntax::Colon { flags_ignore_case: true },
        all: &[
            option!(allow_discards).tune(),
            option!(same_cpu_crypt).tune(),
            option!(high_priority).tune(),
            option!(submit_from_crypt_cpus).tune(),
            option!(no_read_workqueue).tune(),
            option!(no_write_workqueue).tune(),
            option!(integrity).remap(),
            option!(sector_size).remap().reason(NOISE).default(SECTOR),
            option!(iv_large_sectors).remap().reason(NOISE),
            option!(integrity_key_size).remap().range(1, u32::MAX as u64).unit(Unit::Bytes),
        ],
    };
}

/// The messages that it takes.
const MESSAGES: &[MessageForm] = &[MessageForm::of(
    "key",
    "set KEY | wipe",
    "sets another key, or none, of a suspended device: what was written with the key can't be read then",
    Class::Loss,
)];

impl TargetKind for Crypt {
    const NAME: &'static str = "crypt";
    const TRAITS: Traits = Traits { secret: true, messages: MESSAGES, ..Traits::EARLY };
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
            sector_size: sector_size::default(),
            ..Self::default()
        };
        Self::OPTIONS.parse(&mut crypt, &mut words.counted("options")?)?;
        Ok(crypt)
    }

    fn print(&self, out: &mut Printer) {
        out.word(&self.cipher);
        keyed::print(out, &self.key);
        out.word(self.iv_offset).device(&self.device).word(self.offset);
        out.counted(|out| Self::OPTIONS.print(self, out));
    }

    fn compare(&self, live: &Self, differences: &mut Differences) {
        let remap = Effect::Remap;
        differences.field_with_reason("cipher", &self.cipher, &live.cipher, remap, NOISE);
        keyed::compare(differences, "key", &self.key, &live.key);
        differences.field_with_reason("iv_offset", &self.iv_offset, &live.iv_offset, remap, NOISE);
        differences.field("device", &self.device, &live.device, remap);
        differences.field("offset", &self.offset, &live.offset, remap);
        Self::OPTIONS.compare(self, live, differences);
    }

    fn for_reload(&self, live: &Self, _: Option<&dyn State>) -> Self {
        if !self.keeps_key(live) {
            return self.clone();
        }
        Self { key: live.key.clone(), ..self.clone() }
    }

    fn redact(params: &str) -> String {
        keyed::redact_second(params)
    }
}

impl Target for Crypt {
    /// `crypt_message` in `drivers/md/dm-crypt.c` looks for `DM_CRYPT_SUSPENDED`.
    fn refuses_message(&self, message: &str) -> Option<&'static str> {
        self.shows_message(message).then_some(
            "the kernel takes a message about the key only while the device is suspended, and a map sends its messages to \
             an active one",
        )
    }

    /// A key that a message sets or wipes is the one in the table (`crypt_message` in `drivers/md/dm-crypt.c`).
    fn shows_message(&self, message: &str) -> bool {
        message.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case("key"))
    }

    /// `key set KEY` hands a key over (`crypt_message`). Any word but its orders may be one. A message to
    /// Device Mapper itself begins with `@`.
    fn redact_message(&self, message: &str) -> String {
        if message.trim_start().starts_with('@') {
            return redact_unknown(message);
        }
        let is_open =
            |word: &str| word.starts_with(':') || ORDERS.iter().any(|order| word.eq_ignore_ascii_case(order));
        redact_unknown(&redact_words(message, |word| !is_open(word)))
    }

    fn lower_devices(&self, length: u64) -> DeviceUses<'_> {
        smallvec![DeviceUse::write(&self.device, self.offset.0, length)]
    }

    /// Tags that a cipher makes, and IVs that are drawn, are kept in those of the device below (`crypt_integrity_ctr`, which
    /// `crypt_ctr` calls for these two).
    fn needs_below(&self) -> Option<NeededBelow<'_>> {
        let tag = self.integrity.as_ref().filter(|tag| self.fills(tag))?;
        Some(NeededBelow { device: &self.device, kind: Integrity::NAME, tags: Some(self.needed_tags(tag)) })
    }

    /// `crypt_io_hints`.
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
        problems.word("cipher", &self.cipher);
        if let Some(problem) = cipher_problem(&self.cipher) {
            let wrong = problems.at("cipher", problem.message);
            if let Some(advice) = problem.advice {
                wrong.help(advice);
            }
        }
        self.check_iv(problems);
        keyed::check(&self.key, &self.key_sizes(), "key", &self.cipher, problems);
        sector_size::check(self.sector_size, problems);
        self.check_tag(problems);
        Self::OPTIONS.check(self, problems);
        let step = sector_size::sectors(self.sector_size);
        if !self.iv_offset.0.is_multiple_of(step) {
            problems.multiple("iv_offset", self.iv_offset.0, step, 0, u64::MAX / step * step);
        }
        if let Some(length) = length {
            problems.whole_blocks(length, step, "sector_size");
        }
    }

    fn unreadable_after(&self, live: Option<&dyn Target>) -> Option<&'static str> {
        let keeps = live.and_then(of_type::<Self>).is_some_and(|live| self.keeps_key(live));
        (self.key.is_random() && !keeps).then_some("what is on it, for its key is drawn again")
    }

    fn overwrites(&self) -> Option<(&Device, u64)> {
        self.key.is_random().then(|| (&self.device, self.offset.0.saturating_mul(SECTOR)))
    }

    fn doubts(&self, doubts: &mut Problems) {
        if let Some(UnknownName { kind, name, nearest }) = unknown_name(&self.cipher) {
            let message =
                format!("dmctl does not know the {kind} `{name}`, so that the kernel decides about it");
            let doubt = doubts.at("cipher", message);
            if let Some(nearest) = nearest {
                doubt.help(format!("the nearest that is known is `{nearest}`"));
            }
        }
    }

    fn remaining_length(&self, size_of: SizeOf<'_>) -> RemainingLength {
        let step = sector_size::sectors(self.sector_size);
        RemainingLength::of_size(&self.device, size_of, |size| {
            in_whole_blocks(size.saturating_sub(self.offset.0), step).ok_or_else(|| NoRoom::LessThanSector {
                device: (&self.device).into(),
                size,
                start: self.offset.0,
                sector_size: self.sector_size.0,
            })
        })
    }
}

#[cfg(test)]
mod tests;
