//! The tag that crypt keeps with each sector, on a device below that stores it. Kernel source: `crypt_ctr_optional`,
//! `crypt_ctr_cipher_new` and `crypt_integrity_ctr` in `drivers/md/dm-crypt.c`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Crypt;
use crate::keys::{TagSizes, drawn_iv, iv_mode};
use crate::targets::{FieldValue, Given, KeptTags, NeededTags, Operand, ParamsError, Problems};

/// The longest integrity tag of a sector, in bytes (`MAX_TAG_SIZE`).
const MAX_TAG: u64 = 480;
/// The version of Linux 6.11, in which `crypt_integrity_ctr` began to take longer tags than it uses.
const TAKES_LONGER: (u32, u32, u32) = (1, 28, 0);

/// The tag that is kept with a sector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tag {
    /// How long it is, in bytes, from 1 to 480.
    pub tag_size: u32,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: TagKind,
}

/// What the tag of a sector holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TagKind {
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

impl Operand for Tag {
    fn read(given: &mut Given<'_, '_>) -> Result<Self, ParamsError> {
        let text = given.text()?;
        let (size, kind) = text.split_once(':').unwrap_or((text, ""));
        let kind = match kind.to_ascii_lowercase().as_str() {
            "none" => TagKind::None,
            "aead" => TagKind::Aead,
            _ => return Err(given.wrong("integrity must be `integrity:BYTES:none` or `:aead`")),
        };
        Ok(Self { tag_size: given.words.to_number(size, "the size of a tag")?, kind })
    }
}

impl Crypt {
    /// Whether the kernel fills this tag, and so needs a device below that keeps it.
    pub(super) fn fills(&self, tag: &Tag) -> bool {
        tag.kind == TagKind::Aead || iv_mode(&self.cipher) == Some("random")
    }

    /// Returns the tags that the device below must keep.
    pub(super) fn needed_tags(&self, tag: &Tag) -> NeededTags {
        let used = match (tag.kind, drawn_iv(&self.cipher)) {
            (TagKind::None, Some(iv)) => u32::try_from(iv).unwrap_or(tag.tag_size),
            _ => tag.tag_size,
        };
        let tags = KeptTags { size: tag.tag_size, block: self.sector_size.0 };
        NeededTags { tags, used, takes_longer: TAKES_LONGER }
    }

    /// Checks that the cipher makes a tag where one is wanted, and only there, and that the tag is as long as the kernel fills
    /// it.
    pub(super) fn check_tag(&self, problems: &mut Problems) {
        let sizes = TagSizes::of_cipher(&self.cipher);
        let aead = self.integrity.as_ref().filter(|tag| tag.kind == TagKind::Aead);
        if aead.is_none() && sizes.is_aead() {
            problems
                .at("cipher", format!("`{}` makes a tag for each sector", self.cipher))
                .help("it needs `integrity = { tag_size = BYTES, type = \"aead\" }`, and a device below that stores tags");
        }
        let Some(tag) = &self.integrity else { return };
        let field = "integrity.tag_size";
        problems.range(field, tag.tag_size.into(), 1, MAX_TAG);
        if aead.is_some() && sizes == TagSizes::NotAny {
            problems.at("integrity.type", format!("`{}` makes no tag", self.cipher)).help(
                "take a cipher such as `capi:authenc(hmac(sha256),xts(aes))-random`, or the type `none`",
            );
            return;
        }
        let (Some(iv), Ok(size)) = (drawn_iv(&self.cipher), usize::try_from(tag.tag_size)) else { return };
        if aead.is_none() {
            if size < iv {
                let message =
                    format!("{field} must be at least {iv} for the IV that is drawn, {size} is not");
                problems.at(field, message).nearest(iv as u64);
            }
            return;
        }
        if !size.checked_sub(iv).is_some_and(|size| sizes.accepts(size)) {
            let behind =
                if iv > 0 { format!(" behind {iv} for the IV that is drawn") } else { String::new() };
            let message =
                format!("the cipher makes a tag of {sizes}{behind}, {field} of {size} does not fit that");
            let wrong = problems.at(field, message);
            if let Some(longest) = sizes.longest() {
                wrong.nearest((iv + longest) as u64);
            }
        }
    }
}
